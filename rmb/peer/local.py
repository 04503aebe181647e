"""Accept the requests of local clients."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import structlog

from rmb import queues
from rmb.errors import MessageError
from rmb.gen1 import time_rules
from rmb.gen1.message import MAX_SIZE, PROTOCOL_VERSION, Message
from rmb.peer.outbox import Outbox
from rmb.peer.store import Outgoing, PeerStore
from rmb.redis_link import RedisLink

log = structlog.get_logger("rmb.peer")

MAX_DESTINATIONS: Final = 100
MAX_RETRIES: Final = 100
_MAX_READ: Final = 16 * MAX_SIZE
"""Bytes up to which a request that is too large is still read, to tell its client."""


def reason_to_refuse(request: Message, size: int) -> str | None:
    """Why a local request is no request; None when it is one.  The first four texts are the reference daemon's."""
    if request.version != PROTOCOL_VERSION:
        return "protocol version mismatch"
    if not request.command:
        return "missing command request"
    if not request.destinations:
        return "missing twin destination"
    if not request.reply_to:
        return "return queue not defined"
    if size > MAX_SIZE:
        return f"the message is {size} bytes, at most {MAX_SIZE} are carried"
    if len(request.destinations) > MAX_DESTINATIONS:
        return f"{len(request.destinations)} destinations, at most {MAX_DESTINATIONS} are served"
    if request.expiration < 0:
        return f"negative expiration {request.expiration}"
    return None


def outgoing(request: Message, own_twin: int, uid: str, destination: int) -> Outgoing:
    """The part of a request that goes to one destination."""
    part = replace(
        request,
        uid=uid,
        source=own_twin,
        destinations=(destination,),
        reply_to=queues.REPLY,
        retries=max(0, min(request.retries, MAX_RETRIES)),
        proxied=False,
        error="",
        signature="",
        tag=None if request.reference is None else request.tag,
        reference=None,
    )
    return Outgoing(part)


class LocalRequests:
    """Turns what clients push to `msgbus.system.local` into entries of the outbox, or into an answer that says no."""

    def __init__(self, link: RedisLink, store: PeerStore, outbox: Outbox, own_twin: int) -> None:
        self._link = link
        self._store = store
        self._outbox = outbox
        self._own_twin = own_twin

    async def process(self, raw: bytes) -> None:
        """Accept one element of the list.  Raises BusUnavailable; the element is then tried again."""
        if len(raw) > _MAX_READ:
            log.warning("dropped a local request: too large to read", size=len(raw), limit=_MAX_READ)
            return
        try:
            request = Message.from_json(raw)
        except MessageError as error:
            log.warning("dropped a local request", reason=str(error))
            return
        if reason := reason_to_refuse(request, len(raw)):
            await self._refuse(request, reason)
            return
        now = int(time.time())
        if request.now <= 0 or request.now > now:
            request = replace(request, now=now)
        parts = []
        for destination in dict.fromkeys(request.destinations):
            uid = await self._store.next_uid(destination)
            parts.append(outgoing(request, self._own_twin, uid, destination))
        if not await self._store.accept(raw, request, parts):
            await self._refuse(request, "too many requests wait for an answer; try again later")
            return
        for part in parts:
            self._outbox.send(part)

    async def _refuse(self, request: Message, reason: str) -> None:
        if not request.reply_to:
            log.warning("dropped a local request", reason=reason)
            return
        refusal = replace(request, error=f"received invalid message: {reason}")
        if len(refusal.data) > MAX_SIZE:
            refusal = replace(refusal, data="")
        await self._store.push_answer(refusal)


def timed_out(request: Message, uid: str) -> Message:
    """The answer to a client whose request expired without one."""
    lifetime = time_rules.lifetime(request.expiration)
    return replace(request, uid=uid, error=f"request timeout (expiration reached, {lifetime})")
