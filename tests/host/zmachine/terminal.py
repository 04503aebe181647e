"""Somebody at a machine's console, over the network as a user would be."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from provisioners.system import netns

LIMIT_S = 40.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[@-~]|\r")


class Terminal:
    """A console connection that remembers everything it was sent."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self.seen = b""

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.seen.decode(errors="replace"))

    async def wait_for(self, text: str, timeout: float = LIMIT_S) -> None:
        """Read until `text` was printed."""
        try:
            async with asyncio.timeout(timeout):
                while text not in self.text:
                    message = await self._connection.receive()
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        raise ConnectionError(
                            f"the console closed before {text!r}; seen: {self.text[-2000:]}"
                        )
                    self.seen += message.data
        except TimeoutError:
            raise AssertionError(f"{text!r} was not printed; seen: {self.text[-2000:]}") from None

    async def type(self, text: str) -> None:
        await self._connection.send_bytes(text.encode())

    async def ask(self, command: str, timeout: float = LIMIT_S) -> str:
        """Run a command in the guest's shell and return what it printed."""
        number = secrets.token_hex(4)
        begin, end = f"<<{number}>>", f"<</{number}>>"
        # The quotes keep the echo of the typed line from looking like the answer.
        await self.type(f"echo '<''<{number}>>'; {command}; echo '<''</{number}>>'\n")
        await self.wait_for(end, timeout)
        return self.text.split(begin)[1].split(end)[0].strip("\n")


@contextlib.asynccontextmanager
async def terminal(namespace: str, console_url: str, **headers: str) -> AsyncIterator[Terminal]:
    """Open the console at `console_url` from inside the network's namespace."""
    async with session(namespace) as client:
        async with client.ws_connect(f"http://{console_url}/ws", headers=headers) as connection:
            yield Terminal(connection)


@contextlib.asynccontextmanager
async def session(namespace: str) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client inside a namespace."""

    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        return netns.run_in(namespace, lambda: socket.socket(family, kind, protocol))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=make)) as client:
        yield client
