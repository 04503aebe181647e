"""Hand messages to the peers of other twins over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

import aiohttp

from rmb.errors import RmbError
from rmb.gen1.message import MAX_SIZE, Message
from rmb.gen1.signature import sign
from rmb.peer.directory import DirectoryUnavailable
from rmb.peer.locator import Locator, UnknownTwin
from rmb.peer.namespace import OVERLAY, connecting_socket
from rmb.typed_signature import Signer

TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=5)
MAX_PER_TWIN: Final = 16
"""Connections to one twin at a time, so that a peer that answers slowly holds up only its own messages."""
_MAX_ANSWER: Final = 4096
_ACCEPTED: Final = (200, 202)
"""The Go daemon says 200, the Rust daemon 202."""


class DeliveryFailed(RmbError):
    """A message did not reach the other peer; `final`: another attempt would fail in the same way."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Sender:
    """Signs and posts.  Connections into the overlay start in the namespace of the Yggdrasil daemon."""

    def __init__(self, signer: Signer, locator: Locator, namespace: str | None, limit: int) -> None:
        self._signer = signer
        self._locator = locator
        self._namespace = namespace
        self._limit = limit
        self._slots = asyncio.Semaphore(limit)
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._users: Counter[int] = Counter()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        connector = aiohttp.TCPConnector(
            limit=self._limit,
            # A connection that the other side just closed would make a message fail that was never sent.
            force_close=True,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, endpoint: str, message: Message) -> None:
        """Sign `message` and post it to its one destination.  Raises DeliveryFailed."""
        twin = message.destinations[0]
        async with self._turn(twin):
            try:
                address = await self._locator.address_of(twin)
            except UnknownTwin as error:
                raise DeliveryFailed(str(error), final=True) from error
            except DirectoryUnavailable as error:
                raise DeliveryFailed(f"couldn't find twin {twin}: {error}") from error
            signed = replace(message, tag=None, signature=sign(message.challenge(), self._signer))
            body = signed.to_json()
            if len(body) > MAX_SIZE:
                reason = f"the message is {len(body)} bytes, at most {MAX_SIZE} are carried"
                raise DeliveryFailed(reason, final=True)
            await self._post(f"http://{address}/{endpoint}", body)

    def signed(self, message: Message) -> Message:
        """`message` with our signature, for answers that go out otherwise."""
        return replace(message, signature=sign(message.challenge(), self._signer))

    @asynccontextmanager
    async def _turn(self, twin: int) -> AsyncIterator[None]:
        turns = self._turns.setdefault(twin, asyncio.Semaphore(MAX_PER_TWIN))
        self._users[twin] += 1
        try:
            async with turns, self._slots:
                yield
        finally:
            self._users[twin] -= 1
            if not self._users[twin]:
                del self._users[twin], self._turns[twin]

    async def _post(self, url: str, body: bytes) -> None:
        if self._session is None:
            raise RuntimeError("a Sender is used inside `async with`")
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                answer = await response.content.read(_MAX_ANSWER)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DeliveryFailed(f"{url}: {str(error) or 'no answer in time'}") from error
        if response.status not in _ACCEPTED:
            raise DeliveryFailed(f"{url}: status {response.status}: {_text(answer)}")

    def _socket(self, where: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = where
        overlay = family == socket.AF_INET6 and ip_address(address[0]) in OVERLAY
        made = connecting_socket(self._namespace if overlay else None, family, kind, protocol)
        made.setblocking(False)
        return made


def _text(answer: bytes) -> str:
    """The reason in an error body: the message of Go's object, else the body itself."""
    text = answer.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text[:200]
    for key, item in value.items() if isinstance(value, dict) else ():
        if key.lower() in ("message", "error") and isinstance(item, str):
            return item[:200]
    return text[:200]
