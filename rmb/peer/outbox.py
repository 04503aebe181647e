"""Bring accepted requests to their destinations: try, try again, and tell the client when it is no use."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Final

import structlog

from rmb.errors import BusUnavailable
from rmb.gen1 import time_rules
from rmb.gen1.message import Message
from rmb.pause import Pause
from rmb.peer.relay_side import RelaySide
from rmb.peer.sender import DeliveryFailed, Sender
from rmb.peer.store import Entry, Outgoing, PeerStore

log = structlog.get_logger("rmb.peer")

ENDPOINT: Final = "zbus-remote"
RETRY_AFTER: Final = 5.0
"""Seconds; a second attempt comes later than this, as in the reference daemon."""


def on_the_wire(part: Outgoing, now: int) -> Message | None:
    """The request as it goes out at `now`: renewed time stamp, no longer life; None when it is expired."""
    left = part.deadline - now
    if left <= 0:
        return None
    message = part.message
    # Zero stands for an hour: it must neither become one by counting down nor be sent as something shorter.
    expiration = 0 if message.expiration == 0 and left >= time_rules.DEFAULT_LIFETIME else left
    return replace(message, now=now, expiration=expiration)


class Outbox:
    """One task for each request on its way; all of them are in Redis too, and resumed from there."""

    def __init__(
        self, store: PeerStore, sender: Sender, own_twin: int, relays: RelaySide | None = None
    ) -> None:
        self._relays = relays
        self._store = store
        self._sender = sender
        self._own_twin = own_twin
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, part: Outgoing) -> None:
        """Bring `part`, which is stored already, to its destination."""
        if part.uid in self._tasks:
            return
        task = asyncio.create_task(self._deliver(part))
        self._tasks[part.uid] = task
        task.add_done_callback(lambda done: self._done(part.uid, done))

    async def run(self) -> None:
        """Resume what an earlier process left, then hold the tasks until cancelled."""
        pause = Pause()
        try:
            while True:
                try:
                    for part in await self._store.outbox():
                        self.send(part)
                    break
                except BusUnavailable as error:
                    log.warning("waiting for Redis", reason=str(error))
                    await pause.wait()
            await asyncio.Event().wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._tasks[uid]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request is stuck until the next start", uid=uid, exc_info=error)

    async def _deliver(self, part: Outgoing) -> None:
        pause = Pause()
        while True:
            try:
                later = await self._attempt(part)
                if later is None:
                    return
                await asyncio.sleep(RETRY_AFTER + random.uniform(0.1, 1.0))
                part = later
            except BusUnavailable as error:
                log.warning("waiting for Redis", uid=part.uid, reason=str(error))
                await pause.wait()

    async def _attempt(self, part: Outgoing) -> Outgoing | None:
        """Try once; what has to be tried again later, or None."""
        now = int(time.time())
        message = on_the_wire(part, now)
        if message is None:
            return None  # the sweeper answers
        try:
            if message.destinations == (self._own_twin,):
                await self._to_ourselves(message)
            elif self._relays is not None and await self._relays.reaches(message.destinations[0]):
                await self._relays.request(message)
            else:
                await self._sender.send(ENDPOINT, message)
        except DeliveryFailed as failure:
            return await self._failed(part, failure)
        await self._store.sent(part.uid)
        return None

    async def _to_ourselves(self, message: Message) -> None:
        entry = await self._store.deliver(message)
        if entry is not Entry.TAKEN:
            raise DeliveryFailed(f"too many requests for {message.command} wait for their service")

    async def _failed(self, part: Outgoing, failure: DeliveryFailed) -> Outgoing | None:
        in_time = part.deadline > time.time() + RETRY_AFTER
        if part.message.retries > 0 and in_time and not failure.final:
            later = Outgoing(replace(part.message, retries=part.message.retries - 1))
            return later if await self._store.postpone(later) else None
        request = await self._store.waiting(part.uid)
        if request is not None:
            answer = replace(
                part.message,
                source=part.message.source if request.reference is None else 0,  # it is our own word
                error=f"all retries done: {failure}",
                reply_to=request.reply_to,
                tag=request.tag,
                reference=request.reference,
            )
            await self._store.settle(part.uid, answer)
        log.info("request not delivered", uid=part.uid, command=part.message.command, reason=str(failure))
        return None
