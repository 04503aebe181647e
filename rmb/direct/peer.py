"""A direct peer: many calls in flight, and requests of others answered by a tree of handlers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from gridtypes import TwinId
from rmb.errors import (
    BusUnavailable,
    CallTimeout,
    HandlerError,
    InvalidAnswer,
    MessageError,
    NotDelivered,
    RemoteError,
)
from rmb.gen2 import refusals
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.envelope import SCHEMA, Envelope, Error, Request, Response, Signal
from rmb.gen2.postman import Distrusted, Opened, Postman
from rmb.gen2.relay_link import RelayLinks
from rmb.gen2.session import Session
from rmb.gen2.token import make_token
from rmb.gen2.twin_cards import TwinCards, TwinReads
from rmb.request import Request as HandledRequest
from rmb.routes import Routes
from tfchain.keys import Identity

log = structlog.get_logger("rmb.direct")

DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 1800.0
MAX_CALLS: Final = 10_000
MAX_HANDLERS: Final = 256
MAX_ANSWERED: Final = 10_000
"""Answers that are remembered, so that a request that comes twice is not carried out twice."""
NOT_FOUND: Final = "function is not found"
NULL: Final = b"null"


@dataclass(slots=True)
class _Call:
    to: Session
    answer: asyncio.Future[bytes]


class DirectPeer:
    """One session of a twin on its relays.  Made by `connect`."""

    def __init__(
        self,
        relays: Sequence[str],
        chain: TwinReads,
        identity: Identity,
        session: Session,
        encryption: EncryptionKey | None,
    ) -> None:
        self.session = session
        self.routes = Routes()
        """What this peer answers; empty for one that only calls."""
        self._postman = Postman(session, identity, TwinCards(chain), encryption)
        self._links = RelayLinks(
            relays, lambda: make_token(session, identity, int(time.time())), self._received
        )
        self._calls: dict[str, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers = asyncio.Semaphore(MAX_HANDLERS)
        self._answered: OrderedDict[tuple[Session, str], bytes | None] = OrderedDict()

    async def call(
        self,
        twin: TwinId | int | Session,
        command: str,
        payload: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Any:
        """Run `command` on a twin (or one session of it) and return its decoded JSON answer.

        `payload` is anything that JSON can express; bytes are sent as they are.  `timeout` is the whole call in
        seconds and travels with the request.  Only an answer that is signed by the twin that was asked counts.

        Raises RemoteError (the handler's text), NotDelivered, CallTimeout, InvalidAnswer, BusUnavailable.
        """
        if not 0 < timeout <= MAX_TIMEOUT:
            raise ValueError(f"timeout {timeout} s: expected more than 0 and at most {MAX_TIMEOUT:.0f} s")
        if len(self._calls) >= MAX_CALLS:
            raise NotDelivered(f"{MAX_CALLS} calls are in flight already")
        to = twin if isinstance(twin, Session) else Session(int(twin))
        what = f"{command} on twin {to}"
        body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
        uid = str(uuid.uuid4())
        call = self._calls[uid] = _Call(to, asyncio.get_running_loop().create_future())
        end = time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                now = time.time()
                life = math.ceil(now + timeout) - int(now)  # the time in an envelope has whole seconds
                raw = await self._postman.seal(uid, to, Request(command), body, life=life)
                await self._links.send(raw, max(0.0, end - time.monotonic()))
                answer = await call.answer
        except TimeoutError:
            raise CallTimeout(f"{what}: no answer within {timeout:g} s") from None
        finally:
            del self._calls[uid]
        try:
            return json.loads(answer) if answer else None
        except (ValueError, RecursionError) as problem:
            raise InvalidAnswer(f"{what}: the answer is not JSON: {problem}") from problem

    def start(self) -> None:
        self._links.start()

    async def close(self) -> None:
        """End the connections; calls in flight end with BusUnavailable."""
        await self._links.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(BusUnavailable("the connection to the relays was closed"))

    # -- receiving ----------------------------------------------------------------------------------------------------

    def _received(self, raw: bytes) -> None:
        try:
            envelope = Envelope.decode(raw)
        except MessageError as problem:
            log.info("dropped what is no envelope", why=str(problem))
            return
        if refusals.is_from_relay(envelope):
            self._refused_by_relay(envelope)
        elif isinstance(envelope.body, Signal) or (
            not isinstance(envelope.body, Request) and envelope.uid not in self._calls
        ):
            return
        elif isinstance(envelope.body, Request) and self._handlers.locked():
            log.warning("a request is dropped, too many are worked on", source=str(envelope.source))
        else:
            task = asyncio.get_running_loop().create_task(self._take(envelope))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _refused_by_relay(self, envelope: Envelope) -> None:
        call = self._calls.get(envelope.uid)
        if call is not None and not call.answer.done() and isinstance(envelope.body, Error):
            call.answer.set_exception(NotDelivered(f"twin {call.to}: {envelope.body.message}"))

    async def _take(self, envelope: Envelope) -> None:
        """Prove an envelope, and do what it asks for."""
        try:
            opened = await self._postman.open(envelope)
        except Distrusted as problem:
            log.info("an envelope is not believed", source=str(envelope.source), why=str(problem))
            if isinstance(envelope.body, Request):
                await self._answer_error(envelope, problem)
            return
        except BusUnavailable as problem:
            log.warning("an envelope cannot be proven", source=str(envelope.source), why=str(problem))
            return
        if isinstance(envelope.body, Request):
            async with self._handlers:
                await self._serve(opened, envelope.body.command)
        else:
            self._answer(opened)

    def _answer(self, opened: Opened) -> None:
        """An answer: it counts when it is from whom was asked."""
        call = self._calls.get(opened.envelope.uid)
        if call is None or call.answer.done():
            return
        if opened.source != call.to:
            log.warning("an answer of another than was asked", asked=str(call.to), source=str(opened.source))
            return
        match opened.envelope.body:
            case Error(_, text):
                call.answer.set_exception(RemoteError(text))
            case Response():
                call.answer.set_result(opened.payload)
            case _:
                call.answer.set_exception(InvalidAnswer(f"twin {call.to} sent neither response nor error"))

    # -- answering ----------------------------------------------------------------------------------------------------

    async def _serve(self, opened: Opened, command: str) -> None:
        """Carry out a request once, however often it comes; the same answer each time."""
        key = (opened.source, opened.envelope.uid)
        if key in self._answered:
            if (known := self._answered[key]) is not None:
                await self._send(known)
            return
        self._answered[key] = None
        while len(self._answered) > MAX_ANSWERED:
            self._answered.popitem(last=False)
        body, payload = await self._carried_out(opened, command)
        left = max(1, math.ceil(opened.expires_at - time.time()))
        try:
            raw = await self._postman.seal(opened.envelope.uid, opened.source, body, payload, life=left)
        except (NotDelivered, BusUnavailable) as problem:
            log.warning("an answer cannot be sent", to=str(opened.source), why=str(problem))
            return
        self._answered[key] = raw
        await self._send(raw)

    async def _carried_out(self, opened: Opened, command: str) -> tuple[Response | Error, bytes]:
        envelope = opened.envelope
        if envelope.schema not in (None, SCHEMA):
            return Error(0, f"schema {envelope.schema!r} is not {SCHEMA}"), NULL
        request = HandledRequest(
            TwinId(opened.source.twin), command, opened.payload, opened.expires_at, envelope.uid
        )
        limit = asyncio.timeout(max(0.0, opened.expires_at - time.time()))
        try:
            async with limit:
                route = self.routes.resolve(command)
                for middleware in route.middlewares:
                    await middleware(request)
                if route.handler is None:
                    return Error(0, NOT_FOUND), NULL
                value = await route.handler(request)
        except (HandlerError, MessageError) as refusal:
            return Error(0, str(refusal)), NULL
        except Exception as failure:
            if limit.expired():
                return Error(0, "not done within the lifetime of the call"), NULL
            log.error("handler failed", command=command, uid=envelope.uid, exc_info=failure)
            text = f"internal error in {command}; the log of the service has it as {envelope.uid}"
            return Error(0, text), NULL
        if isinstance(value, bytes):
            return Response(), value or NULL
        return Response(), json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()

    async def _answer_error(self, envelope: Envelope, problem: Distrusted) -> None:
        """Tell a requester why he is not believed; he may be somebody else, so nothing more is said."""
        if envelope.source is None or not envelope.source.twin:
            return
        with contextlib.suppress(NotDelivered, BusUnavailable):
            raw = await self._postman.seal(
                envelope.uid, envelope.source, Error(problem.code, str(problem)), NULL
            )
            await self._send(raw)

    async def _send(self, raw: bytes) -> None:
        try:
            await self._links.send(raw, DEFAULT_TIMEOUT)
        except NotDelivered as problem:
            log.warning("an answer cannot be sent", why=str(problem))


@contextlib.asynccontextmanager
async def connect(
    relays: Sequence[str],
    chain: TwinReads,
    identity: Identity,
    twin: TwinId | int,
    *,
    session: str | None = None,
    encryption: EncryptionKey | None = None,
) -> AsyncIterator[DirectPeer]:
    """A peer of `twin` on its relays; `session` has to be its own when another program of the twin is connected.

    Without `encryption` nothing is encrypted, and encrypted messages are not understood.
    """
    if not relays:
        raise ValueError("no relay is given: at least one ws:// or wss:// URL is needed")
    peer = DirectPeer(relays, chain, identity, Session(int(twin), session), encryption)
    peer.start()
    try:
        yield peer
    finally:
        await peer.close()
