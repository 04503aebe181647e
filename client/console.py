"""A machine's serial console over its websocket, in a tunnel where the network asks for one."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from client.errors import ClientError
from client.tunnel import Tunnel

CONNECT_TIMEOUT_S = 15.0
GREET_EVERY_S = 1.0


@asynccontextmanager
async def open_console(url: str, tunnel: Tunnel | None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The websocket of the console at `host:port`.  Raises ClientError."""
    connector = None
    if tunnel is not None:
        host, _, port = url.rpartition(":")

        def connect() -> socket.socket:
            return socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S)

        try:
            made = await tunnel.run(connect)
        except OSError as problem:
            raise ClientError(f"console {url} does not answer through the tunnel: {problem}") from problem
        connector = _One(made)
    session = aiohttp.ClientSession(connector=connector)
    try:
        async with session.ws_connect(f"ws://{url}/ws", max_msg_size=1 << 20) as connection:
            yield connection
    except (aiohttp.ClientError, OSError) as problem:
        raise ClientError(f"console {url} cannot be reached: {problem}") from problem
    finally:
        await session.close()


class _One(aiohttp.TCPConnector):
    """A connector that uses one socket, made elsewhere."""

    def __init__(self, made: socket.socket) -> None:
        super().__init__()
        made.setblocking(False)
        self._made = made

    async def _create_direct_connection(self, req: Any, *arguments: Any, **more: Any) -> Any:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(self._factory, sock=self._made)
        return transport, protocol


async def _greet(connection: aiohttp.ClientWebSocketResponse, line: str) -> None:
    while True:
        await connection.send_str(line)
        await asyncio.sleep(GREET_EVERY_S)


async def talk(connection: aiohttp.ClientWebSocketResponse, command: str, *, limit: float = 15.0) -> str:
    """Type a line into a console that shows a shell, and return what it printed.

    The console echoes what is typed and wraps it, so the output stands between two marks that the shell puts
    together.  A shell that is just starting throws away what was typed before: so it is greeted until it answers, and
    gets the command then.  Raises ClientError when the output does not come in time, or the node closes the
    connection.
    """
    mark = secrets.token_hex(4)
    seen, reason = "", f"did not finish {command!r} within {limit:.0f} s"
    is_greeted = False
    greeting = asyncio.create_task(_greet(connection, f"echo up''{mark}\n"))
    try:
        async with asyncio.timeout(limit):
            async for message in connection:
                data = message.data
                seen += data.decode(errors="replace") if isinstance(data, bytes) else str(data)
                if not is_greeted and f"up{mark}" in seen:
                    is_greeted = True
                    greeting.cancel()
                    await connection.send_str(f"echo begin''{mark}; {command}; echo end''{mark}\n")
                if f"end{mark}" in seen:
                    body = seen.partition(f"begin{mark}")[2].partition(f"end{mark}")[0]
                    return body.replace("\r", "").strip("\n")
            reason = f"was closed by the node during {command!r}"
    except TimeoutError:
        pass
    finally:
        greeting.cancel()
        await asyncio.gather(greeting, return_exceptions=True)
    raise ClientError(f"the console {reason}; it showed: {seen[-300:]!r}")
