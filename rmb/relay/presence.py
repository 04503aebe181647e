"""Which process of a relay has which session, for processes that share one Redis.

A process announces what it has and takes it over from the others; it hears for which of its sessions another has stored
something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog
from redis.exceptions import RedisError

from rmb.errors import MessageError
from rmb.gen2.session import Session
from rmb.relay.stores.redis_store import WAKE, RedisStore

log = structlog.get_logger("rmb.relay")

TOOK = "relay.took"
REFRESH_S = 20.0
PAUSE_S = 1.0
KNOWN_LIFE_S = 60.0


class Presence(Protocol):
    """What a relay process tells and knows of the others."""

    def came(self, session: Session) -> None: ...

    def went(self, session: Session) -> None: ...

    def is_elsewhere(self, session: Session) -> bool: ...


class Alone:
    """A relay of one process."""

    def came(self, session: Session) -> None:
        """Nobody has to know."""

    def went(self, session: Session) -> None:
        """Nobody has to know."""

    def is_elsewhere(self, session: Session) -> bool:
        return False


class SharedPresence:
    """Tells the others through Redis; what they have is heard and remembered."""

    def __init__(
        self,
        store: RedisStore,
        instance: str,
        drop: Callable[[Session], None],
        stored: Callable[[Session], None],
    ) -> None:
        """`drop` lets go of a session that another process has now; `stored` is told what another process stored."""
        self._redis = store.redis
        self._instance = instance
        self._drop = drop
        self._stored = stored
        self._ours: set[Session] = set()
        self._theirs: dict[Session, float] = {}
        self._said: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def came(self, session: Session) -> None:
        self._ours.add(session)
        self._theirs.pop(session, None)
        self._say("took", session)

    def went(self, session: Session) -> None:
        self._ours.discard(session)
        self._say("left", session)

    def is_elsewhere(self, session: Session) -> bool:
        heard = self._theirs.get(session)
        return heard is not None and heard > asyncio.get_running_loop().time()

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What tells and listens for ever; Redis may be away meanwhile."""
        return [self._forever(work) for work in (self._listen, self._tell, self._refresh)]

    def _say(self, what: str, session: Session) -> None:
        self._said.append((what, str(session)))
        self._news.set()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (RedisError, OSError, KeyError) as problem:  # KeyError: a slot that no node has
                log.warning("relay processes cannot hear each other", why=str(problem))
                await asyncio.sleep(PAUSE_S)

    async def _tell(self) -> None:
        await self._news.wait()
        self._news.clear()
        said, self._said = self._said, []
        for what, session in said:
            await self._redis.publish(TOOK, f"{self._instance} {what} {session}")

    async def _refresh(self) -> None:
        for session in tuple(self._ours):
            await self._redis.publish(TOOK, f"{self._instance} has {session}")
        await asyncio.sleep(REFRESH_S)

    async def _listen(self) -> None:
        await self._redis.initialize()  # a cluster's channels lie on nodes that it has to know first
        channel = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await channel.subscribe(TOOK, WAKE)
            await self._redis.publish(TOOK, f"{self._instance} hello")
            for session in tuple(self._ours):
                self._stored(session)  # what was said while we did not listen
            async for message in channel.listen():
                self._hear(message["channel"].decode(), message["data"].decode(errors="replace"))
        finally:
            await channel.aclose()

    def _hear(self, channel: str, text: str) -> None:
        instance, _, rest = text.partition(" ")
        if instance == self._instance:
            return
        what, _, name = ("stored", "", rest) if channel == WAKE else rest.partition(" ")
        if what == "hello":
            for session in self._ours:
                self._say("has", session)
            return
        try:
            session = Session.parse(name)
        except MessageError:
            return
        match what:
            case "stored":
                self._stored(session)
            case "took":
                self._remember(session)
                if session in self._ours:
                    self._ours.discard(session)
                    self._drop(session)
            case "has":
                self._remember(session)
            case "left":
                self._theirs.pop(session, None)

    def _remember(self, session: Session) -> None:
        self._theirs[session] = asyncio.get_running_loop().time() + KNOWN_LIFE_S
