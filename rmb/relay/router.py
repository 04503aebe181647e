"""What becomes of an envelope: to a session here, into the store, to another relay, or back with a reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from google.protobuf.message import DecodeError

from rmb.errors import MessageError
from rmb.gen2 import envelope_pb2 as wire
from rmb.gen2 import tags
from rmb.gen2.session import Session
from rmb.relay.federation import Federation
from rmb.relay.hub import Hub
from rmb.relay.limiter import Limiter
from rmb.relay.metrics import Metrics
from rmb.relay.twins import TwinRecord, Twins, TwinsUnavailable

log = structlog.get_logger("rmb.relay")

PONG_SUFFIX = b"hello world"
ERROR_LIFETIME_S = 300
MOST_LOOKUPS_WAITING = 4096
"""Envelopes that wait for the chain; beyond, they are refused."""


@dataclass(frozen=True, slots=True)
class _Routed:
    """An envelope on its way from a session to another."""

    envelope: wire.Envelope
    raw: bytes
    sender: Session
    target: Session


class Router:
    """Routes envelopes; forwards the bytes that came in."""

    def __init__(
        self,
        hub: Hub,
        twins: Twins,
        federation: Federation,
        metrics: Metrics,
        domains: Collection[str],
        limiter: Limiter | None,
        is_elsewhere: Callable[[Session], bool],
    ) -> None:
        """`is_elsewhere` tells whether another process of this relay has a session."""
        self._hub = hub
        self._twins = twins
        self._federation = federation
        self._metrics = metrics
        self._domains = frozenset(name.lower() for name in domains)
        self._limiter = limiter
        self._is_elsewhere = is_elsewhere
        self._lookups: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, list[_Routed]] = {}
        """What waits for the chain to tell of a twin, by twin."""

    def from_peer(self, sender: Session, raw: bytes) -> None:
        """Route what a connected peer sent.  Raises MessageError for bytes that are no envelope."""
        envelope = parse(raw)
        if self._limiter is not None and not self._limiter.allows(sender.twin, len(raw), time.time()):
            self._refuse(envelope, "exceeded rate limits, dropping message", sender)
            return
        source = envelope.source
        if source.twin != sender.twin or _connection(source) != sender.connection:
            self._refuse(envelope, "message wrong source", sender)
            return
        kind = envelope.WhichOneof("message")
        if kind == "ping":
            self._hub.deliver(sender, pong(envelope))
            return
        destination = envelope.destination
        if not destination.twin:
            self._refuse(envelope, "message with missing destination", sender)
            return
        if envelope.timestamp + envelope.expiration <= time.time():
            self._refuse(envelope, "message has expired", sender)
            return
        target = Session(destination.twin, _connection(destination))
        waiting = self._waiting.get(target.twin)
        if waiting is not None:  # behind those that came before
            self._wait(waiting, _Routed(envelope, raw, sender, target))
        elif self._hub.is_connected(target):
            self._hub.deliver(target, raw, lambda reason: self._refuse(envelope, reason, sender))
        elif (known := self._twins.known(target.twin)) is not None:
            self._to_absent(_Routed(envelope, raw, sender, target), known)
        else:
            waiting = self._waiting[target.twin] = []
            self._wait(waiting, _Routed(envelope, raw, sender, target))
            task = asyncio.create_task(self._look_up(target.twin))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    def from_relay(self, raw: bytes) -> str:
        """Take what another relay sent; why it is not taken, or nothing.  Raises MessageError."""
        envelope = parse(raw)
        target = Session(envelope.destination.twin, _connection(envelope.destination))
        if not target.twin:
            raise MessageError("message with missing destination")
        if (
            tags.is_fail_fast(envelope.tags)
            and not self._hub.is_connected(target)
            and not self._is_elsewhere(target)
        ):
            return "destination offline"
        self._hub.deliver(target, raw)
        return ""

    async def close(self) -> None:
        for task in self._lookups:
            task.cancel()
        await asyncio.gather(*self._lookups, return_exceptions=True)

    def _wait(self, waiting: list[_Routed], one: _Routed) -> None:
        if sum(map(len, self._waiting.values())) >= MOST_LOOKUPS_WAITING:
            reason = f"failed to route message to peer '{one.target}': too many wait for the chain"
            self._refuse(one.envelope, reason, one.sender)
        else:
            waiting.append(one)

    async def _look_up(self, twin: int) -> None:
        """Ask the chain once for everything that waits for a twin; their order stays."""
        found, problem = None, ""
        try:
            found = await self._twins.get(twin)
        except TwinsUnavailable as unavailable:
            problem = str(unavailable)
        for one in self._waiting.pop(twin):
            if found is not None:
                self._to_absent(one, found)
                continue
            reason = f"failed to route message to peer '{one.target}': {problem}"
            self._refuse(one.envelope, reason if problem else "unknown twin destination", one.sender)

    def _to_absent(self, one: _Routed, twin: TwinRecord) -> None:
        """Route to a session that was not connected to this process."""

        def failed(reason: str) -> None:
            self._refuse(one.envelope, reason, one.sender)

        if self._hub.is_connected(one.target):
            self._hub.deliver(one.target, one.raw, failed)
        elif not twin.relays:
            failed("relay info is not set for this twin")
        elif self._domains.isdisjoint(twin.relays):
            self._federation.send(one.raw, failed)
        elif tags.is_fail_fast(one.envelope.tags) and not self._is_elsewhere(one.target):
            failed("destination offline")
        else:
            self._hub.deliver(one.target, one.raw, failed)

    def _refuse(self, envelope: wire.Envelope, reason: str, sender: Session) -> None:
        self._metrics.refused.labels(reason.partition(":")[0].partition("'")[0].strip()).inc()
        answer = refusal(envelope, reason, sender)
        if answer is not None:
            self._hub.deliver(sender, answer)


def parse(raw: bytes) -> wire.Envelope:
    """Read an encoded envelope.  Raises MessageError."""
    try:
        return wire.Envelope.FromString(raw)
    except DecodeError as problem:
        raise MessageError(f"not an envelope: {problem}") from problem


def refusal(envelope: wire.Envelope, reason: str, receiver: Session | None) -> bytes | None:
    """A relay's error for a request, unsigned and without source; None for what is no request."""
    if envelope.WhichOneof("message") != "request":
        return None
    answer = wire.Envelope(uid=envelope.uid, timestamp=int(time.time()), expiration=ERROR_LIFETIME_S)
    answer.error.code = 0
    answer.error.message = reason
    if receiver is not None:
        answer.destination.twin = receiver.twin
        if receiver.connection is not None:
            answer.destination.connection = receiver.connection
    return answer.SerializeToString()


def pong(envelope: wire.Envelope) -> bytes:
    """The answer to an application ping: source and destination change places, the payload grows."""
    answer = wire.Envelope()
    answer.CopyFrom(envelope)
    answer.pong.SetInParent()
    answer.source.CopyFrom(envelope.destination)
    answer.destination.CopyFrom(envelope.source)
    if not envelope.HasField("destination"):
        answer.ClearField("source")
    answer.plain = envelope.plain + PONG_SUFFIX
    return answer.SerializeToString()


def _connection(address: wire.Address) -> str | None:
    return address.connection if address.HasField("connection") else None
