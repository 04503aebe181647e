"""A store in Redis Streams, with the keys of the existing relay; several relay processes may share one.

`stream:<session>` holds what waits for a session, field `_`; `relay.federation.stream` what is for other relays, field
`msg`, read by the group `federation`.  A message is accepted once Redis has it, and Redis keeps it over a crash
when its configuration says so (`appendonly yes`, `appendfsync always`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from redis.exceptions import RedisError, ResponseError

from rmb.redis_link import RedisAddress
from rmb.relay.stores.message_store import IDLE_LIFE_S, MAX_IN_SESSION, Id, Kept, StoreUnavailable, tell
from rmb.relay.stores.redis_connection import connect

log = structlog.get_logger("rmb.relay")

BODY = b"_"
QUEUE_KEY = "relay.federation.stream"
QUEUE_BODY = b"msg"
GROUP = "federation"
WAKE = "relay.wake"
"""Channel on which processes tell each other for which session something was stored."""
CLAIM_IDLE_MS = 3000
BLOCK_MS = 500
ANSWER_TIMEOUT_S = 20.0
RENEW_S = 60.0
"""How often the life of a stream is set anew, at most; it is longer by as much."""
MAX_WAITING = 100_000
MAX_IN_QUEUE = 1_000_000


class RedisStore:
    """Implements `MessageStore`."""

    def __init__(self, nodes: tuple[RedisAddress, ...], instance: str, *, cluster: bool = False) -> None:
        """Raises ValueError for addresses that do not fit."""
        self.redis = connect(nodes, cluster=cluster)
        self._address = ", ".join(map(str, nodes))
        self._is_cluster = cluster
        self._instance = instance
        self._waiting: list[tuple[str | None, bytes, Kept]] = []
        self._doomed: dict[str, list[Id]] = {}
        self._done: list[Id] = []
        self._writer: asyncio.Task[None] | None = None
        self._has_group = False
        self._renewed: set[str] = set()
        """Sessions whose streams' life was set since `_renewing`."""
        self._renewing = 0.0

    def append(self, session: str, message: bytes, kept: Kept) -> None:
        self._add(session, message, kept)

    async def read(self, session: str, after: Id, count: int) -> list[tuple[Id, bytes]]:
        start = "-" if after == "0" else f"({after}"
        rows = await self._ask(self.redis.xrange(f"stream:{session}", start, "+", count))
        return [(number.decode(), fields[BODY]) for number, fields in rows if BODY in fields]

    def delete(self, session: str, ids: list[Id]) -> None:
        if ids:
            self._doomed.setdefault(session, []).extend(ids)
            self._wake()

    def queue(self, message: bytes, kept: Kept) -> None:
        self._add(None, message, kept)

    async def take(self, count: int) -> list[tuple[Id, bytes]]:
        if not self._has_group:
            try:
                await self._ask(self.redis.xgroup_create(QUEUE_KEY, GROUP, "0", mkstream=True))
            except StoreUnavailable as error:
                if "BUSYGROUP" not in str(error):
                    raise
            self._has_group = True
        claimed = await self._ask(
            self.redis.xautoclaim(QUEUE_KEY, GROUP, self._instance, CLAIM_IDLE_MS, "0-0", count)
        )
        rows = list(claimed[1])
        if not rows:
            answer = await self._ask(
                self.redis.xreadgroup(GROUP, self._instance, {QUEUE_KEY: ">"}, count, BLOCK_MS)
            )
            rows = [row for _, rows_of_stream in answer or () for row in rows_of_stream]
        return [(number.decode(), fields[QUEUE_BODY]) for number, fields in rows if fields]

    def done(self, ids: list[Id]) -> None:
        self._done += ids
        self._wake()

    async def close(self) -> None:
        while self._writer is not None:
            await self._writer
        await self.redis.aclose()

    def _add(self, session: str | None, message: bytes, kept: Kept) -> None:
        if len(self._waiting) >= MAX_WAITING:
            kept(StoreUnavailable(f"{MAX_WAITING} messages wait for Redis already"))
            return
        self._waiting.append((session, message, kept))
        self._wake()

    def _wake(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="relay store")

    async def _write(self) -> None:
        """Send batches until nothing waits.

        A batch is one transaction, so that an answer means that Redis has it all; in a cluster each command is one.
        """
        try:
            while self._waiting or self._doomed or self._done:
                waiting, self._waiting = self._waiting, []
                doomed, self._doomed = self._doomed, {}
                done, self._done = self._done, []
                try:
                    answers = await self._write_batch(waiting, doomed, done)
                except Exception as error:  # whatever it is, those who wait have to hear of it
                    answers = [error] * len(waiting)
                    self._renewed = set()  # it may come back with nothing
                tell(
                    (kept, _unavailable(answer) if isinstance(answer, Exception) else answer)
                    for (_, _, kept), answer in zip(waiting, answers, strict=True)
                )
                if self._is_cluster:  # whose pipelines publish nothing
                    await self._wake_others({session for session, _, _ in waiting if session is not None})
        finally:
            self._writer = None

    async def _write_batch(
        self,
        waiting: list[tuple[str | None, bytes, Kept]],
        doomed: dict[str, list[Id]],
        done: list[Id],
    ) -> list[Id | Exception]:
        """An id, or what went wrong, for each that waits.  Raises StoreUnavailable for all."""
        pipe = self.redis.pipeline(transaction=not self._is_cluster)
        for session, message, _ in waiting:
            if session is None:
                pipe.xadd(QUEUE_KEY, {QUEUE_BODY: message}, maxlen=MAX_IN_QUEUE, approximate=True)
            else:
                pipe.xadd(f"stream:{session}", {BODY: message}, maxlen=MAX_IN_SESSION, approximate=True)
        sessions = sorted({session for session, _, _ in waiting if session is not None})
        now = asyncio.get_running_loop().time()
        if now > self._renewing + RENEW_S:
            self._renewing, self._renewed = now, set()
        for session in sessions:
            if session not in self._renewed:
                pipe.expire(f"stream:{session}", IDLE_LIFE_S + int(RENEW_S))
            if not self._is_cluster:
                pipe.publish(WAKE, f"{self._instance} {session}")
        for session, ids in doomed.items():
            pipe.xdel(f"stream:{session}", *ids)
        if done:
            pipe.xack(QUEUE_KEY, GROUP, *done)
            pipe.xdel(QUEUE_KEY, *done)
        answers = await self._ask(pipe.execute(raise_on_error=not self._is_cluster))
        self._renewed.update(sessions)
        return [each if isinstance(each, Exception) else each.decode() for each in answers[: len(waiting)]]

    async def _wake_others(self, sessions: set[str]) -> None:
        """Tell other processes for which sessions something was stored; they look by themselves when they connect."""
        try:
            for session in sorted(sessions):
                await self._ask(self.redis.publish(WAKE, f"{self._instance} {session}"))
        except StoreUnavailable as error:
            log.warning("other relay processes are not told what was stored", why=str(error))

    async def _ask(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await question
        except ResponseError as error:
            raise StoreUnavailable(f"Redis at {self._address} refused: {error}") from error
        except KeyError as error:  # the library's word for a slot that no node has
            raise StoreUnavailable(f"no node of the cluster at {self._address} has slot {error}") from error
        except (TimeoutError, RedisError, OSError) as error:
            raise StoreUnavailable(
                f"cannot reach Redis at {self._address}: {error or 'no answer'}"
            ) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    return error if isinstance(error, StoreUnavailable) else StoreUnavailable(f"Redis: {error}")
