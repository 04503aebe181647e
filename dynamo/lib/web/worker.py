"""A process of its own for every request: what a module does there stays there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dynamo.core.applications.batch import BatchReader, batch_frames
from dynamo.core.applications.child import AHEAD, EXIT_FAILED, READY, leave_the_server, own_view
from dynamo.core.applications.questions import ChildChannel, answer_frame
from dynamo.core.applications.sandbox import Cell, confine
from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.authorizer import Authorizer
from dynamo.core.borrowed import StoreAhead
from dynamo.core.components.persistency import InventoryStore
from dynamo.core.dynamoinventory import DynamoInventory
from dynamo.core.registry.access import Registry
from dynamo.dataformat import Configuration, DynamoError, OperationalError
from dynamo.web.answer import Answer, WebRequest, envelope, respond
from dynamo.web.fleet_now import FleetNow
from dynamo.web.loader import Loader

LOG = logging.getLogger(__name__)

ANSWER_S = 120.0
"""How long a module may take."""
IMAGE_S = 20.0
"""How long to wait until the image can be used, in seconds."""
MAX_ANSWER = 256 << 20
"""Largest answer, in bytes."""

_SLOT, _YES, _QUESTION = b"W", b"Y", b"Q"


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    channel: socket.socket
    cell: Cell

    async def end(self, scheduler: Scheduler) -> None:
        self.channel.close()
        await _reap(self.pid)
        problem = scheduler.confinement.leave(self.cell)
        if problem:
            LOG.warning("The process of a request was ended: %s", problem)


async def answer_in_child(
    request: WebRequest,
    loader: Loader,
    config: Configuration,
    scheduler: Scheduler,
    scratch: Path,
) -> Answer:
    """Run the module of a request in a child, and apply what it changed if it may."""
    try:
        async with asyncio.timeout(ANSWER_S):
            try:
                child = await scheduler.member.with_image(
                    lambda: _forked(request, loader, config, scheduler, scratch), IMAGE_S
                )
            except OperationalError as error:
                return envelope(503, f"Server temporarily not available: {error}")
            try:
                return await _served(child.channel, scheduler)
            finally:
                await child.end(scheduler)
    except DynamoError as error:
        return envelope(500, f"Nothing was changed: {error}")
    except TimeoutError:
        return envelope(503, f"The answer took longer than {ANSWER_S:.0f} s.")


async def _served(channel: socket.socket, scheduler: Scheduler) -> Answer:
    """Do for the child of a request what it asks for, until its answer has come."""
    loop = asyncio.get_running_loop()
    has_slot = False
    try:
        head = await loop.sock_recv(channel, 1)
        while head in (_SLOT, _QUESTION):
            if head == _SLOT:
                has_slot = has_slot or scheduler.member.take_write_slot()
                await loop.sock_sendall(channel, _YES if has_slot else b"N")
            else:
                await loop.sock_sendall(channel, await _answered(channel, scheduler))
            head = await loop.sock_recv(channel, 1)
        data = bytearray()
        while piece := await loop.sock_recv(channel, 1 << 16):
            data += piece
            if len(data) > MAX_ANSWER:
                return envelope(500, f"The answer has more than {MAX_ANSWER} bytes.")
        if head != b"A":
            return envelope(500, "The process of this request ended without an answer.")
        length = int.from_bytes(data[:4], "big")
        answer = Answer(**json.loads(data[4 : 4 + length]))
        if answer.keep_changes and has_slot and len(data) > 4 + length:
            reader = BatchReader()
            reader.feed(bytes(data[4 + length :]))
            if not reader.is_complete:
                return envelope(500, "The changes did not arrive completely; nothing was changed.")
            await scheduler.member.write(reader.commands)
        return answer
    finally:
        if has_slot:
            scheduler.member.give_write_slot()


async def _forked(
    request: WebRequest, loader: Loader, config: Configuration, scheduler: Scheduler, scratch: Path
) -> _Child:
    """A child that has its own view of the store.

    The image must not change meanwhile.  Raises StoreAhead, OperationalError when the child does not come up.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    store = scheduler.inventory.store
    if store is not None:
        store.release()
    authorizer = Authorizer(scheduler.users)
    now = FleetNow([app.public() for app in scheduler.queue.newest()], scheduler.member.servers_now())
    with scheduler.confinement.cell() as cell:
        pid = os.fork()
        if pid == 0:
            _run_child(
                request,
                loader,
                config,
                scheduler.inventory,
                store,
                authorizer,
                now,
                theirs,
                scratch,
                cell,
            )
    theirs.close()
    child = _Child(pid, ours, cell)
    word = b""
    try:
        word = await asyncio.get_running_loop().sock_recv(ours, 1)
    finally:
        if word != READY:
            await child.end(scheduler)
    if word == AHEAD:
        raise StoreAhead("The borrowed store has gone on while a request was started")
    if word != READY:
        raise OperationalError("The server has no process for this request")
    return child


async def _answered(channel: socket.socket, scheduler: Scheduler) -> bytes:
    """The answer to one question to the registry, whose frame begins now."""
    loop = asyncio.get_running_loop()
    reader = BatchReader()
    while not reader.questions:
        data = await loop.sock_recv(channel, 1 << 16)
        if not data:
            raise OperationalError("The process of the request ended in the middle of a question")
        reader.feed(data)  # it waits for the answer, so nothing comes behind the question
    return answer_frame(scheduler.desk, reader.questions[0], may_change=True)


async def _reap(pid: int) -> None:
    watch = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(watch, signal.SIGKILL)
    except ProcessLookupError:
        pass
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(watch, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)
        _collect(pid)


def _collect(pid: int) -> None:
    os.waitpid(pid, 0)  # it has ended: its descriptor became readable


def _run_child(
    request: WebRequest,
    loader: Loader,
    config: Configuration,
    inventory: DynamoInventory,
    store: InventoryStore | None,
    authorizer: Authorizer,
    now: FleetNow,
    channel: socket.socket,
    scratch: Path,
    cell: Cell,
) -> NoReturn:
    try:
        leave_the_server(channel, scratch, None)
        logging.basicConfig(level=logging.INFO)
        proxy = own_view(inventory, store, channel)
        channel.sendall(READY)
        confine(scratch, cell, with_network=True)

        def take_write_slot() -> bool:
            channel.sendall(_SLOT)
            return channel.recv(1) == _YES

        registry = Registry(ChildChannel(channel, _QUESTION))
        answer = respond(request, loader, config, proxy, registry, authorizer, take_write_slot, now)
        body = json.dumps(
            {
                "status": answer.status,
                "content_type": answer.content_type,
                "body": answer.body,
                "headers": answer.headers,
                "keep_changes": answer.keep_changes,
            }
        ).encode()
        channel.sendall(b"A" + len(body).to_bytes(4, "big") + body)
        if answer.keep_changes and proxy.commands:
            for frame in batch_frames(proxy.commands):
                channel.sendall(frame)
        channel.shutdown(socket.SHUT_WR)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(EXIT_FAILED)
