"""One application from fork to end, as the server sees it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dynamo.core.applications.batch import BatchReader
from dynamo.core.applications.child import AHEAD, READY, TAKEN, Task, run_child
from dynamo.core.applications.questions import answer_frame
from dynamo.core.applications.sandbox import Cell, Confinement
from dynamo.core.authorizer import Authorizer
from dynamo.core.borrowed import StoreAhead
from dynamo.core.dynamoinventory import BatchRefused, DynamoInventory
from dynamo.core.objectrepository import Action
from dynamo.core.registry.access import Note
from dynamo.core.registry.desk import Desk

LOG = logging.getLogger(__name__)

READY_S = 60.0
"""How long a child may take to open its view of the store."""
SILENCE_S = 60.0
"""How long a child may pause while it sends its changes."""
GRACE_S = 60.0
"""How long a child has to end after it was asked to."""


class Ending(Enum):
    """Why a job ended."""

    EXITED = "exited"
    KILLED = "killed"
    BROKEN = "broken"


@dataclass(slots=True)
class Outcome:
    """How a job ended.  `commands` and `notes` are what a program that ended well wants changed."""

    ending: Ending
    exit_code: int
    reason: str = ""
    commands: list[tuple[Action, dict[str, Any]]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Job:
    """A child and what it sends.  All waits have a limit."""

    def __init__(self, task: Task, timeout: float | None, desk: Desk, confinement: Confinement) -> None:
        """`timeout` in seconds, None = as long as it takes.

        `desk` answers what the program asks; it changes nothing there before its end.
        """
        self.task = task
        self.pid = 0
        self._timeout = timeout
        self._desk = desk
        self._confinement = confinement
        self._cell: Cell | None = None
        self._kill = asyncio.Event()
        self._reason = ""
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel: socket.socket | None = None

    def kill(self, reason: str) -> None:
        """Ask the program to end, and end it when it does not."""
        self._reason = self._reason or reason
        self._kill.set()

    async def start(
        self, inventory: DynamoInventory, authorizer: Authorizer, stdin: int | None = None
    ) -> None:
        """Fork the child, and wait until it has its own view of the store.

        The image must not change meanwhile.  Raises BatchRefused when the child does not come up, StoreAhead when
        a borrowed store has gone on; it may be started again then.
        """
        ours, theirs = socket.socketpair()
        store = inventory.store
        if store is not None:
            store.release()
        with self._confinement.cell() as cell:
            pid = os.fork()
            if pid == 0:
                run_child(self.task, cell, inventory, store, theirs, authorizer, stdin)
        self._cell = cell
        theirs.close()
        self.pid = pid
        self._channel = ours
        ours.setblocking(False)
        watch = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(watch, self._reap, watch)
        try:
            async with asyncio.timeout(READY_S):
                word = await loop.sock_recv(ours, 1)
                if word == READY:
                    return
        except TimeoutError:
            word = b""
        self._signal(signal.SIGKILL)
        await self._exit
        ours.close()
        self._leave_the_cell()
        if word == AHEAD:
            self._exit = loop.create_future()
            raise StoreAhead("The borrowed store has gone on while a program was started")
        raise BatchRefused("The program's process could not be started; its _stderr says why")

    def _reap(self, watch: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(watch)
        os.close(watch)
        _, status = os.waitpid(self.pid, 0)
        self._exit.set_result(os.waitstatus_to_exitcode(status))

    def _signal(self, number: signal.Signals) -> None:
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
            except ProcessLookupError:
                continue

    async def run(self) -> Outcome:
        """Wait for the end of a started child."""
        assert self._channel is not None, "started before"
        reader = BatchReader()
        taking = asyncio.create_task(self._take(self._channel, reader))
        killed = asyncio.create_task(self._kill.wait())
        ends: set[asyncio.Future[Any]] = {killed, self._exit}
        try:
            await asyncio.wait(ends | {taking}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if taking.done() and not killed.done() and not self._exit.done():
                # Either the batch is whole, or the channel is closed or broken; the program may still be running.
                problem = taking.exception()
                if problem is not None:
                    self.kill(str(problem))
                await asyncio.wait(ends, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if not self._exit.done():
                if not self._kill.is_set():
                    self.kill(f"It ran longer than {self._timeout} s")
                self._signal(signal.SIGTERM)
                await asyncio.wait({self._exit}, timeout=GRACE_S)
                self._signal(signal.SIGKILL)
            exit_code = await self._exit
            self._signal(signal.SIGKILL)  # what the program may have left; it holds the channel open, too
            ended_by_kernel = self._leave_the_cell()
            if not taking.done():
                await asyncio.wait({taking}, timeout=SILENCE_S)
            outcome = self._judge(exit_code, taking, reader)
            if exit_code != 0:
                outcome.reason = outcome.reason or ended_by_kernel
            return outcome
        finally:
            for waiting in (taking, killed):
                waiting.cancel()
            await asyncio.gather(taking, killed, return_exceptions=True)
            self._signal(signal.SIGKILL)
            self._channel.close()
            self._leave_the_cell()

    def _leave_the_cell(self) -> str:
        cell, self._cell = self._cell, None
        return "" if cell is None else self._confinement.leave(cell)

    def _judge(self, exit_code: int, taking: asyncio.Task[None], reader: BatchReader) -> Outcome:
        problem = taking.exception() if taking.done() and not taking.cancelled() else None
        if problem is not None:
            return Outcome(Ending.BROKEN, exit_code or 1, str(problem))
        if self._kill.is_set():
            return Outcome(Ending.KILLED, exit_code, self._reason)
        if exit_code == 0 and reader.has_begun and not reader.is_complete:
            return Outcome(Ending.BROKEN, 1, "Its changes did not arrive completely")
        if exit_code != 0:
            return Outcome(Ending.EXITED, exit_code)
        return Outcome(Ending.EXITED, exit_code, "", reader.commands, reader.notes)

    async def _take(self, channel: socket.socket, reader: BatchReader) -> None:
        loop = asyncio.get_running_loop()
        data = await loop.sock_recv(channel, 1 << 16)
        while data:
            reader.feed(data)
            if reader.is_complete:
                await loop.sock_sendall(channel, TAKEN)
                return
            while reader.questions:
                answer = answer_frame(self._desk, reader.questions.pop(0), may_change=False)
                await loop.sock_sendall(channel, answer)
            try:
                async with asyncio.timeout(SILENCE_S if reader.is_sending else None):
                    data = await loop.sock_recv(channel, 1 << 16)
            except TimeoutError:
                raise BatchRefused(f"It was silent for {SILENCE_S} s in the middle of its changes") from None
        if reader.has_begun:
            raise BatchRefused("Its changes did not arrive completely")
