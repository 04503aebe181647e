"""Who is connected here, and the way of a message to a session: at once when it is, through the store when not.

The order of a session's messages stays: while something of it is in the store, everything new goes there too, and a
task brings it to the connection until the store is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from rmb.gen2.session import Session
from rmb.relay.connection import Connection, Transport, Turn
from rmb.relay.metrics import Metrics
from rmb.relay.stores.message_store import Id, MessageStore, StoreUnavailable

log = structlog.get_logger("rmb.relay")

PAGE = 500
"""Stored messages brought at once."""
LOOK_S = 0.005
"""Between two looks at a transport that is full: it has no event for it."""
STUCK_S = 60.0
"""A peer that takes nothing for so long is cut off; what is stored for it stays."""
STORE_PAUSE_S = 1.0
CONFIRM_S = 0.02

Failed = Callable[[str], None]
"""Told why a message could not be accepted."""


def _ignored(reason: str) -> None:
    """For messages whose sender is not told."""


class Hub:
    """The connections of one relay process."""

    def __init__(
        self, store: MessageStore, metrics: Metrics, *, store_always: bool, most_sessions: int
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._store_always = store_always
        self._most = most_sessions
        self._turn = Turn()
        self._local: dict[Session, Connection] = {}
        self._storing: dict[Session, int] = {}
        """How many messages are on their way into the store, by session."""
        self._to_confirm: set[Connection] = set()
        """Connections that were given messages that are stored."""

    def __len__(self) -> int:
        return len(self._local)

    @property
    def is_full(self) -> bool:
        return len(self._local) >= self._most

    def is_connected(self, session: Session) -> bool:
        return session in self._local

    @property
    def connections(self) -> list[Connection]:
        return list(self._local.values())

    # -- connections --------------------------------------------------------------------------------------------------

    def attach(self, session: Session, transport: Transport) -> Connection:
        """Take a connection in; a former one of its session is replaced, and what it did not get out goes first."""
        former = self._local.get(session)
        connection = self._local[session] = Connection(session, transport, self._turn)
        if former is not None:
            left = former.left()
            self._let_go(former, "closed")
            former.replace()
            connection.put_first([one for one in left if one.id is None])
        self.bring(connection)
        self._metrics.sessions.set(len(self._local))
        return connection

    def detach(self, connection: Connection) -> bool:
        """A connection has ended; whether it was its session's.  What was in memory for it goes into the store."""
        if self._local.get(connection.session) is not connection:
            return False  # it was replaced; its successor has everything
        del self._local[connection.session]
        for left in connection.left():
            if left.id is None:
                self._keep(connection.session, left.body, _ignored)
        self._let_go(connection, "closed")
        self._metrics.sessions.set(len(self._local))
        return True

    def drop(self, session: Session) -> None:
        """Another process has the session now: let go of ours."""
        connection = self._local.get(session)
        if connection is not None:
            self.detach(connection)
            connection.replace()

    async def drain(self, seconds: float) -> None:
        """Let go of the sessions one after the other within a time, so that they do not all come back at once."""
        sessions = list(self._local)
        for session in sessions:
            self.drop(session)
            await asyncio.sleep(seconds / len(sessions) if len(sessions) > 1 else 0)

    def drop_all(self) -> None:
        """Before the end: keep what is in memory, and tell the peers to go elsewhere."""
        for session in list(self._local):
            self.drop(session)

    # -- messages -----------------------------------------------------------------------------------------------------

    def deliver(self, session: Session, body: bytes, failed: Failed = _ignored) -> None:
        """Accept a message for a session, connected or not; `failed` is called when it could not be kept."""
        connection = self._local.get(session)
        if (
            connection is None
            or self._store_always
            or connection.draining is not None
            or (self._storing and session in self._storing)  # behind those on their way into the store
            or connection.is_full
            or not connection.is_open
        ):
            self._keep(session, body, failed)
            return
        connection.put(body)
        self._metrics.received(len(body))
        self._metrics.sent(len(body))

    def stored_elsewhere(self, session: Session) -> None:
        """Another process has stored something for a session."""
        connection = self._local.get(session)
        if connection is not None:
            self.bring(connection)

    def bring(self, connection: Connection) -> None:
        """See to it that what is stored comes to the connection."""
        if connection.draining is None:
            connection.draining = asyncio.get_running_loop().create_task(self._drain(connection))

    def _keep(self, session: Session, body: bytes, failed: Failed) -> None:
        self._storing[session] = self._storing.get(session, 0) + 1
        self._store.append(str(session), body, partial(self._kept, session, body, failed))

    def _kept(self, session: Session, body: bytes, failed: Failed, id: Id | StoreUnavailable) -> None:
        still = self._storing.pop(session) - 1
        if still:
            self._storing[session] = still
        if isinstance(id, StoreUnavailable):
            self._metrics.store_failures.inc()
            failed(f"failed to route message to peer '{session}': {id}")
            return
        self._metrics.received(len(body))
        connection = self._local.get(session)
        if connection is None:
            return
        # With `store_always` everything comes by here, in order; else the store may hold what came before.
        if not self._store_always or connection.draining or connection.is_full or not connection.is_open:
            self.bring(connection)
            return
        connection.put(body, id)
        self._metrics.sent(len(body))
        self._confirm_soon(connection)

    def _confirm_soon(self, connection: Connection) -> None:
        self._to_confirm.add(connection)
        if len(self._to_confirm) == 1:
            asyncio.get_running_loop().call_later(CONFIRM_S, self._confirm)

    def _confirm(self) -> None:
        """Forget in the store what has gone out of the connections that were used."""
        for connection in tuple(self._to_confirm):
            self._store.delete(str(connection.session), connection.took())
            if connection.is_idle() or self._local.get(connection.session) is not connection:
                self._to_confirm.discard(connection)
        if self._to_confirm:
            asyncio.get_running_loop().call_later(CONFIRM_S, self._confirm)

    async def _drain(self, connection: Connection) -> None:
        session = str(connection.session)
        try:
            while True:
                await self._until(connection, connection.has_room)
                page = await self._store.read(session, connection.after, PAGE)
                if not page:
                    await self._until(connection, connection.is_idle)
                    self._store.delete(session, connection.took())
                    page = await self._store.read(session, connection.after, PAGE)
                    if not page:
                        connection.draining = None  # no await since the last look: nothing came in between
                        return
                for id, body in page:
                    if not connection.was_sent(id):
                        connection.put(body, id)
                        self._metrics.sent(len(body))
                connection.after = page[-1][0]
                self._store.delete(session, connection.took())
        except TimeoutError:
            log.info("a peer takes nothing and is cut off", session=session)
            self._metrics.evictions.labels("back_pressure_timeout").inc()
            connection.draining = None
            connection.abort()
        except StoreUnavailable as problem:
            log.warning("cannot bring stored messages, tried again", session=session, why=str(problem))
            await asyncio.sleep(STORE_PAUSE_S)
            connection.draining = None
            if self._local.get(connection.session) is connection:
                self.bring(connection)

    async def _until(self, connection: Connection, is_so: Callable[[], bool]) -> None:
        """Raises TimeoutError when the peer takes nothing for STUCK_S."""
        connection.flush()  # the kernel mostly takes it at once
        if is_so():
            return
        async with asyncio.timeout(STUCK_S) as limit:
            left = len(connection.left())
            while not is_so():
                await asyncio.sleep(LOOK_S)
                connection.flush()
                if (now := len(connection.left())) < left:
                    left = now
                    limit.reschedule(asyncio.get_running_loop().time() + STUCK_S)

    def _let_go(self, connection: Connection, reason: str) -> None:
        if connection.draining is not None:
            connection.draining.cancel()
            connection.draining = None
        self._store.delete(str(connection.session), connection.took())
        self._metrics.evictions.labels(reason).inc()
