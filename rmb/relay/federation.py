"""Messages for twins of other relays: kept until a relay of the destination took them or their time is over.

Delivery is at least once; a relay that fails is asked after others.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import aiohttp
import structlog

from rmb.gen2 import envelope_pb2 as wire
from rmb.gen2.session import Session
from rmb.relay.hub import Failed, Hub
from rmb.relay.metrics import Metrics
from rmb.relay.ranker import Ranker
from rmb.relay.stores.message_store import Id, MessageStore, StoreUnavailable
from rmb.relay.twins import Twins, TwinsUnavailable

log = structlog.get_logger("rmb.relay")

PASSES = 3
PAUSES_S = (0.1, 0.2)
REQUEST_S = 3.0
CONNECT_S = 2.0
AT_ONCE = 32
"""Messages under way to other relays at the same time."""
AGAIN_S = 3.0
"""After which what could not be handed over is tried again, until its time is over."""
STORE_PAUSE_S = 1.0

Refusal = Callable[[wire.Envelope, str, Session | None], bytes | None]


class Rejected(Exception):
    """It will not be delivered; the text is for the sender."""


class Federation:
    """Hands messages to other relays over `POST <scheme>://<relay>/`."""

    def __init__(
        self,
        store: MessageStore,
        twins: Twins,
        hub: Hub,
        metrics: Metrics,
        ranker: Ranker,
        refusal: Refusal,
        scheme: str = "https",
        others: Mapping[str, str] | None = None,
    ) -> None:
        """`others` tells where relays are that are not reached under their own name."""
        self._others = others or {}
        self._store = store
        self._twins = twins
        self._hub = hub
        self._metrics = metrics
        self._ranker = ranker
        self._refusal = refusal
        self._scheme = scheme
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, raw: bytes, failed: Failed) -> None:
        """Accept a message for another relay; `failed` is called when it could not be kept."""

        def kept(id: Id | StoreUnavailable) -> None:
            if isinstance(id, StoreUnavailable):
                self._metrics.store_failures.inc()
                failed(f"failed to route message for another relay: {id}")
            else:
                self._metrics.received(len(raw))

        self._store.queue(raw, kept)

    async def run(self) -> None:
        """Work on the queue for ever."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_S, connect=CONNECT_S)
        connector = aiohttp.TCPConnector(limit=AT_ONCE, ttl_dns_cache=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            try:
                while True:
                    await self._slots.acquire()
                    self._slots.release()
                    try:
                        taken = await self._store.take(AT_ONCE)
                    except StoreUnavailable as problem:
                        log.warning("cannot read the queue for other relays", why=str(problem))
                        await asyncio.sleep(STORE_PAUSE_S)
                        continue
                    for id, raw in taken:
                        await self._slots.acquire()
                        task = asyncio.create_task(self._one(session, id, raw))
                        self._under_way.add(task)
                        task.add_done_callback(self._finished)
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()

    async def _one(self, session: aiohttp.ClientSession, id: Id, raw: bytes) -> None:
        """Try until it is handed over, rejected, or too old."""
        envelope = wire.Envelope()
        try:
            envelope.ParseFromString(raw)
            while not await self._handed_over(session, envelope, raw):
                await asyncio.sleep(AGAIN_S)
        except Rejected as problem:
            self._tell(envelope, str(problem))
        except Exception:
            log.exception("a message for another relay cannot be worked on and is dropped")
        self._store.done([id])

    async def _handed_over(self, session: aiohttp.ClientSession, envelope: wire.Envelope, raw: bytes) -> bool:
        """One round over the destination's relays.  Raises Rejected."""
        if envelope.timestamp + envelope.expiration <= time.time():
            raise Rejected("message has expired")
        try:
            twin = await self._twins.get(envelope.destination.twin)
        except TwinsUnavailable:
            return False
        if twin is None or not twin.relays:
            raise Rejected("remote relay rejected permanently: relay is not set for this twin")
        for number in range(PASSES):
            for relay in self._ranker.order(twin.relays, time.time()):
                if await self._post(session, relay, raw):
                    return True
            if number < len(PAUSES_S):
                await asyncio.sleep(PAUSES_S[number] * random.uniform(1.0, 1.5))
        return False

    async def _post(self, session: aiohttp.ClientSession, relay: str, raw: bytes) -> bool:
        """Whether a relay took it.  Raises Rejected for its definite no."""
        try:
            place = self._others.get(relay, relay)
            async with session.post(f"{self._scheme}://{place}/", data=raw, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            status = 0
        if status == 202:
            self._metrics.federation_success.labels(relay).inc()
            return True
        self._metrics.federation_error.labels(relay).inc()
        if 400 <= status < 500:
            raise Rejected("remote relay rejected permanently: destination offline")
        self._ranker.failed(relay, time.time())
        return False

    def _tell(self, envelope: wire.Envelope, reason: str) -> None:
        answer = self._refusal(envelope, reason, None)
        source = envelope.source
        if answer is not None and source.twin:
            connection = source.connection if source.HasField("connection") else None
            self._hub.deliver(Session(source.twin, connection), answer)
