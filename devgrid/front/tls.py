"""TLS on one port for several services: what a client names when it says hello decides where its bytes go."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from devgrid.expose import close, pass_on
from devgrid.front.certificates import Certificates

Connect: TypeAlias = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

MOST_CONNECTIONS = 1024
HANDSHAKE_S = 20.0
BACKLOG = 128

log = logging.getLogger(__name__)


class Terminator:
    """Takes TLS off and passes plain bytes on, both ways, until one side has no more."""

    def __init__(self, certificates: Certificates, services: Mapping[str, Connect], default: Connect) -> None:
        self._services = services
        self._default = default
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(certificates.chain, certificates.key)
        self._context.sni_callback = _remember_name
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the address is taken."""
        self._server = await asyncio.start_server(
            self._serve, host, port, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S, backlog=BACKLOG
        )

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) <= MOST_CONNECTIONS:
                await self._pass_on(reader, writer)
        except OSError as problem:
            log.debug("connection ended: %s", problem)
        finally:
            self._open.discard(task)
            await close(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = getattr(writer.get_extra_info("ssl_object"), "wanted_name", None)
        connect = self._services.get(name or "", self._default)
        inner_reader, inner_writer = await connect()
        try:
            await pass_on((reader, inner_writer), (inner_reader, writer))
        finally:
            await close(inner_writer)


def _remember_name(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    connection.wanted_name = name  # type: ignore[attr-defined]  # the object has no field for it
