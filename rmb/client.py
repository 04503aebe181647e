"""Call commands of other twins through the local peer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final

from gridtypes import TwinId
from rmb import queues
from rmb.errors import CallTimeout, InvalidAnswer, MessageError, NotDelivered, RemoteError
from rmb.gen1.message import MAX_SIZE, Message
from rmb.redis_link import MAX_BLOCK, RedisAddress, RedisLink

DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 3600.0
MAX_CALLS: Final = 200
"""Calls in flight at once (each holds a connection to Redis); others wait, within their time."""
GRACE: Final = 2.0
"""Seconds beyond the call's lifetime in which the peer's own word about it ("expired") may still arrive."""
_UNDELIVERED: Final = ("all retries done: ", "received invalid message: ")
_EXPIRED: Final = "request timeout ("


class Client:
    """A client of the local peer.  Many calls may be in flight; each has a reply list of its own."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._slots = asyncio.Semaphore(MAX_CALLS)

    async def call(
        self,
        twin: TwinId | int,
        command: str,
        payload: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        retries: int = 1,
    ) -> Any:
        """Run `command` on `twin` and return its decoded JSON answer; None when it answered nothing.

        `payload` is anything that JSON can express; bytes are sent as they are.  `timeout` is the whole call in
        seconds (at most an hour) and travels with the request, so that nobody works on it any longer.  `retries` is
        how often the peer tries again, 5 s apart, when it cannot reach the other one.

        Raises RemoteError (the handler's text), NotDelivered, CallTimeout, InvalidAnswer, BusUnavailable.
        """
        if not 0 < timeout <= MAX_TIMEOUT:
            raise ValueError(f"timeout {timeout} s: expected more than 0 and at most {MAX_TIMEOUT:.0f} s")
        what = f"{command} on twin {twin}"
        request = _request(int(twin), command, payload, timeout, retries)
        encoded = request.to_json()
        if len(encoded) > MAX_SIZE:
            raise NotDelivered(f"{what}: the request is {len(encoded)} bytes, a message may have {MAX_SIZE}")
        end = time.monotonic() + timeout + min(GRACE, timeout)
        async with self._slot(what, timeout):
            await self._link.command("RPUSH", queues.LOCAL, encoded)
            raw = await self._wait(request.reply_to, end)
        if raw is None:
            raise CallTimeout(f"{what}: no answer within {timeout:g} s, and no word from the local peer")
        try:
            answer = Message.from_json(raw)
        except MessageError as error:
            raise InvalidAnswer(f"{what}: {error}") from error
        return _result(answer, request, what)

    @contextlib.asynccontextmanager
    async def _slot(self, what: str, timeout: float) -> AsyncIterator[None]:
        """One of the connections to Redis; waited for no longer than the call may take."""
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
        except TimeoutError:
            text = f"{what}: not sent within {timeout:g} s, {MAX_CALLS} other calls are in flight"
            raise CallTimeout(text) from None
        try:
            yield
        finally:
            self._slots.release()

    async def _wait(self, reply_to: str, end: float) -> bytes | None:
        """The first reply, or None when the monotonic clock has passed `end`."""
        while (left := end - time.monotonic()) > 0:
            found = await self._link.command("BLPOP", reply_to, min(left, MAX_BLOCK))
            if found is not None:
                return bytes(found[1])
        return None

    async def ping(self) -> None:
        """Raise BusUnavailable unless the local Redis answers."""
        await self._link.command("PING")

    async def close(self) -> None:
        """Close all connections; calls in flight end with BusUnavailable."""
        await self._link.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def connect(redis: str | None = None) -> Client:
    """A client of the peer behind `redis`: `unix:///path`, `/path`, `redis://host:port`, `tcp://host:port`.

    None means the environment variable ZOS_RMB_REDIS, else `/run/zos/redis.sock`.  Raises ValueError for an address
    that cannot be read, BusUnavailable when nothing answers there.
    """
    client = Client(RedisLink(RedisAddress.parse(redis)))
    try:
        await client.ping()
    except BaseException:
        with contextlib.suppress(Exception):
            await asyncio.shield(client.close())
        raise
    return client


def _request(twin: int, command: str, payload: Any, timeout: float, retries: int) -> Message:
    """A request as the local peer takes it, with a reply list of its own."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    message = Message(
        command=command,
        expiration=math.ceil(timeout),
        retries=retries,
        destinations=(twin,),
        reply_to=str(uuid.uuid4()),
        now=int(time.time()),
    )
    return message.with_payload(body)


def _result(answer: Message, request: Message, what: str) -> Any:
    """The value in an answer, or the exception that it stands for."""
    if answer.error:
        if answer.error.startswith(_EXPIRED):
            raise CallTimeout(f"{what}: {answer.error}")
        # The peer's own word keeps the request's direction; an answer of the other side has it turned round.
        if answer.destinations == request.destinations and answer.error.startswith(_UNDELIVERED):
            raise NotDelivered(f"{what}: {answer.error}")
        raise RemoteError(answer.error)
    try:
        body = answer.payload()
        return json.loads(body) if body else None
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer(f"{what}: the answer is not JSON: {error}") from error
