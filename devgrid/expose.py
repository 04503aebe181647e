"""Ports of the host's 127.0.0.1 that lead into a grid.

The host's side is bound before the grid's namespaces exist, and handed to the supervisor: a socket stays in the
namespace in which it was made, a connection is opened in the one of its process.  So no further process is needed, and
the ports are gone with the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping, Sequence

from devgrid import layout

LOOPBACK = "127.0.0.1"
PORTS = (layout.FRONT_PORT, layout.RELAY_PORT, layout.CHAIN_PORT)
"""What is exposed: the front, the relay without TLS, the chain."""
CHUNK = 64 << 10
BACKLOG = 128
CONNECT_S = 5.0

log = logging.getLogger(__name__)


class PortTaken(Exception):
    """A port of the host is not free; the message says which and what to do."""


def bind(ports: Sequence[int] = PORTS, address: str = LOOPBACK) -> dict[int, socket.socket]:
    """Listening sockets by port.  Raises PortTaken; then none is bound."""
    made: dict[int, socket.socket] = {}
    try:
        for port in ports:
            listener = made[port] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(BACKLOG)
    except OSError as problem:
        for listener in made.values():
            listener.close()
        raise PortTaken(
            f"cannot bind {address}:{port}: {problem.strerror}; end what uses it (`ss -ltnp sport = :{port}`) "
            "or do without --expose"
        ) from problem
    return made


def to_argument(listeners: Mapping[int, socket.socket]) -> str:
    """Ports and their descriptors, for the command line of who inherits them."""
    return ",".join(f"{port}:{listener.fileno()}" for port, listener in listeners.items())


def from_argument(text: str) -> dict[int, socket.socket]:
    """The sockets that were handed over."""
    pairs = (part.split(":") for part in text.split(",") if part)
    return {int(port): socket.socket(fileno=int(number)) for port, number in pairs}


class Forwarder:
    """Passes what comes to the host's ports on to the same ports of the grid's gateway."""

    def __init__(self, listeners: Mapping[int, socket.socket], gateway: str) -> None:
        self._listeners = listeners
        self._gateway = gateway
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> list[int]:
        return sorted(self._listeners)

    async def start(self) -> None:
        for port, listener in self._listeners.items():
            listener.setblocking(False)

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port
            ) -> None:
                await self._serve(reader, writer, port)

            self._servers.append(await asyncio.start_server(serve, sock=listener))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        inner: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                inner_reader, inner = await asyncio.open_connection(self._gateway, port)
            await pass_on((reader, inner), (inner_reader, writer))
        except (OSError, TimeoutError) as problem:
            log.info("port %d: %s", port, problem)
        finally:
            self._open.discard(task)
            for each in (writer, inner):
                if each is not None:
                    await close(each)


async def pass_on(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy bytes along all ways at once until one of them has no more."""
    tasks = [asyncio.create_task(_copy(reader, writer)) for reader, writer in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close in time, whatever the other side does."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A slow reader slows the writer down."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
