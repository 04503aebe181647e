"""A connection to one relay that comes back by itself, and several of them as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import structlog

from rmb.errors import NotDelivered
from rmb.pause import Pause

log = structlog.get_logger("rmb.relay_link")

PING_S: Final = 20.0
"""Between two pings; half as long without an answer, and the connection counts as dead."""
CONNECT_S: Final = 10.0
LARGEST: Final = 20 << 20
RECONNECT_FIRST_S, RECONNECT_LONGEST_S = 0.5, 30.0

Received = Callable[[bytes], None]
Token = Callable[[], str]
"""Makes a fresh token: each connection shows a new one."""


class RelayLink:
    """One relay."""

    def __init__(self, url: str, token: Token, received: Received) -> None:
        self.url = url
        self._token = token
        self._received = received
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._connected = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    async def run(self) -> None:
        """Connect, read, and connect again, for ever."""
        pause = Pause(RECONNECT_FIRST_S, RECONNECT_LONGEST_S)
        told = ""
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    await self._session(http)
                    pause.reset()
                    reason = "the relay closed the connection"
                except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
                    reason = _reason(problem)
                if reason != told:
                    log.warning("relay is away, tried again", relay=self.url, why=reason)
                    told = reason
                await pause.wait()

    async def send(self, raw: bytes, timeout: float) -> bool:
        """Hand an envelope to the relay; whether that was possible within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self._connected.wait()
                    socket = self._socket
                    assert socket is not None
                    try:
                        await socket.send_bytes(raw)
                        return True
                    except (aiohttp.ClientError, ConnectionError):
                        self._connected.clear()
        except TimeoutError:
            return False

    async def _session(self, http: aiohttp.ClientSession) -> None:
        base = self.url.rstrip("/")
        async with asyncio.timeout(CONNECT_S):
            socket = await http.ws_connect(
                f"{base}/?{self._token()}", heartbeat=PING_S, max_msg_size=LARGEST, autoping=True
            )
        async with socket:
            self._socket = socket
            self._connected.set()
            log.info("connected to relay", relay=self.url)
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        self._received(bytes(message.data))
            finally:
                self._connected.clear()
                self._socket = None


class RelayLinks:
    """All relays of a peer: each receives, and one that works sends."""

    def __init__(self, urls: Sequence[str], token: Token, received: Received) -> None:
        self._links = [RelayLink(url, token, received) for url in urls]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(link.run(), name=f"relay {link.url}") for link in self._links]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, raw: bytes, timeout: float) -> None:
        """Send over a relay that is connected, the one that worked last first.  Raises NotDelivered."""
        deadline = asyncio.get_running_loop().time() + timeout
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            for link in sorted(self._links, key=lambda link: not link.is_connected):
                if await link.send(raw, min(TRY_S, left)):
                    self._links.remove(link)
                    self._links.insert(0, link)
                    return
        names = ", ".join(link.url for link in self._links)
        raise NotDelivered(f"no relay took the message within {timeout:g} s: {names}")


TRY_S: Final = 0.5
"""For one relay, before the next is tried."""


def _reason(problem: BaseException) -> str:
    if isinstance(problem, aiohttp.WSServerHandshakeError):
        return f"it answered {problem.status}"
    return str(problem) or type(problem).__name__
