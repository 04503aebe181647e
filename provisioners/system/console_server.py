"""The console over the network: a page at `/`, a websocket at `/ws` (`vm.md` A9).

It listens inside the namespace of the machine's private network, so that whoever is in that network, through his
tunnel too, can reach it, and nobody else.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from provisioners.system import netns
from provisioners.system.console import Backlog, Console, ConsoleBusy, ConsoleClosed
from provisioners.system.console_page import PAGE

PORT_BASE = 20000
MESSAGE_LIMIT = 64 * 1024
"""Bytes of one message from a client."""
HEARTBEAT_S = 30.0
CLOSE_LIMIT_S = 1.0
_IP_FREEBIND = 15


def console_port(address: IPv4Address) -> int:
    """TCP port of the console of the machine with this private address."""
    return PORT_BASE + (int(address) & 0xFF)


def listen(namespace: str | None, address: IPv4Address, port: int) -> socket.socket:
    """A listening socket inside the namespace.  Blocks for a thread's start.  Raises OSError when the port is taken."""

    def make() -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The address may come and go with the network's links; the console stays.
            listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            listener.bind((str(address), port))
            listener.listen(16)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    return netns.run_in(namespace, make)


class ConsoleServer:
    """Serves one console on one listening socket, until it is closed."""

    def __init__(self, console: Console, listener: socket.socket) -> None:
        self._console = console
        self._listener = listener
        application = web.Application(client_max_size=MESSAGE_LIMIT)
        application.router.add_get("/", self._page)
        application.router.add_get("/ws", self._websocket)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_LIMIT_S)

    async def start(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def close(self) -> None:
        """Stop listening and send everybody away."""
        await self._console.close()
        await self._runner.cleanup()
        self._listener.close()

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if not same_origin(request.headers.get("Origin"), request.host):
            raise web.HTTPForbidden(text="the console is used from its own page or by a program")
        try:
            async with self._console.watch() as backlog:
                connection = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_LIMIT)
                await connection.prepare(request)
                async with asyncio.TaskGroup() as tasks:
                    output = tasks.create_task(_send(connection, backlog))
                    try:
                        await self._receive(connection)
                    finally:
                        output.cancel()
                return connection
        except ConsoleBusy as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error

    async def _receive(self, connection: web.WebSocketResponse) -> None:
        async for message in connection:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            try:
                await self._console.type(data)
            except ConsoleClosed:
                pass  # typing at a machine that is down is like typing at one that is off


def same_origin(origin: str | None, host: str) -> bool:
    """False for a page of somebody else's that a person at the network has open in his browser.

    Programs send no origin.
    """
    return origin is None or urlsplit(origin).netloc == host


async def _send(connection: web.WebSocketResponse, backlog: Backlog) -> None:
    try:
        while (chunk := await backlog.get()) is not None:
            await connection.send_bytes(chunk)
        await connection.close(message=b"the console was closed")
    except ConnectionError:
        pass  # the client went away; its receiver ends, too
