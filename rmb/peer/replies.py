"""Bring the replies of local services to those who asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

import structlog

from rmb.errors import MessageError
from rmb.gen1 import time_rules
from rmb.gen1.message import MAX_SIZE, Message
from rmb.gen1.uid import destination_of, is_uuid4
from rmb.peer import local_json
from rmb.peer.relay_side import RelaySide
from rmb.peer.sender import DeliveryFailed, Sender
from rmb.peer.store import Entry, PeerStore

log = structlog.get_logger("rmb.peer")

ENDPOINT: Final = "zbus-reply"
PAUSES: Final = (1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 60.0, 60.0)
"""Seconds between the attempts to hand over a reply: a caller's machine that restarts is back within four minutes."""
_ROOM: Final = 1024
"""Bytes that signing and renewing may add to a reply."""


class Replies:
    """Deals with what services push to `msgbus.system.reply`, and with the replies of other twins."""

    def __init__(
        self, store: PeerStore, sender: Sender, own_twin: int, relays: RelaySide | None = None
    ) -> None:
        self._store = store
        self._sender = sender
        self._own_twin = own_twin
        self._relays = relays

    async def process(self, raw: bytes) -> None:
        """Bring one reply of a local service on its way.  Raises BusUnavailable."""
        try:
            is_gen2 = local_json.is_reply(raw)
            reply = local_json.reply(raw, self._own_twin) if is_gen2 else Message.from_json(raw)
        except MessageError as error:
            log.warning("dropped a reply", reason=str(error))
            return
        if len(raw) > MAX_SIZE - _ROOM:
            text = f"the answer is {len(raw)} bytes, at most {MAX_SIZE - _ROOM} are carried"
            reply = replace(reply, data="", error=text)
        if self._relays is not None and self._relays.is_ours(reply):
            await self._relays.reply(reply)
        elif reply.proxied:
            if is_uuid4(reply.reply_to):
                await self._store.keep_proxied(reply)
            else:
                log.warning("dropped a reply: its list is none of /zbus-cmd", reply_to=reply.reply_to)
        elif reply.destinations[:1] == (self._own_twin,):
            await self.take(reply)
        elif reply.source == self._own_twin and reply.destinations:
            await self._send(replace(reply, destinations=reply.destinations[:1]))
        else:
            log.warning("dropped a reply that is not ours", source=reply.source, uid=reply.uid)
        # Only now: a caller whose peer takes no replies must not make us hold any number of them.
        await self._store.answered(reply)

    async def take(self, reply: Message, seen: str = "", seen_until: int = 0) -> Entry:
        """Give a reply to the local client that waits for it; what nobody waits for is dropped."""
        request = await self._store.waiting(reply.uid)
        if request is None or destination_of(reply.uid) != reply.source:
            log.debug("dropped a reply that nobody waits for", uid=reply.uid, source=reply.source)
            return Entry.UNKNOWN
        answer = replace(reply, reply_to=request.reply_to, tag=request.tag, reference=request.reference)
        return await self._store.settle(reply.uid, answer, seen, seen_until)

    async def failed(self, uid: str, reason: str) -> None:
        """Tell a local client that its request could not be carried."""
        request = await self._store.waiting(uid)
        if request is not None:
            await self._store.settle(uid, replace(request, uid=uid, error=f"all retries done: {reason}"))

    async def _send(self, reply: Message) -> None:
        until = time_rules.deadline(reply.now or int(time.time()), reply.expiration)
        for pause in (*PAUSES, None):
            if time.time() >= until:
                log.info(
                    "reply not delivered", uid=reply.uid, twin=reply.destinations[0], reason="it is expired"
                )
                return
            try:
                await self._sender.send(ENDPOINT, replace(reply, now=int(time.time())))
                return
            except DeliveryFailed as failure:
                if failure.final or pause is None:
                    log.info(
                        "reply not delivered", uid=reply.uid, twin=reply.destinations[0], reason=str(failure)
                    )
                    return
            await asyncio.sleep(pause)
