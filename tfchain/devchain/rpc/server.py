"""The network side: one port for WebSocket, HTTP POST and the activation service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from typing import Any

from aiohttp import WSMsgType, web

from tfchain.devchain.chain import DevChain
from tfchain.devchain.rpc.activation import Activation
from tfchain.devchain.rpc.arguments import Arguments, hex_of
from tfchain.devchain.rpc.control import Control
from tfchain.devchain.rpc.endpoints import Endpoints
from tfchain.devchain.rpc.errors import (
    INTERNAL,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)
from tfchain.devchain.rpc.reads import Reads
from tfchain.devchain.rpc.subscriptions import SUBSCRIBE, Outbox, Subscriptions, submit
from tfchain.devchain.rpc.view import Troubles, View

MOST_CONNECTIONS = 1024
LARGEST_MESSAGE = 4 << 20
"""Bytes."""
MOST_IN_BATCH = 256
PING_S = 30.0
BACKLOG = 128

log = logging.getLogger(__name__)


class Server:
    """One endpoint of a chain."""

    def __init__(self, chain: DevChain, *, control: bool, troubles: Troubles | None = None) -> None:
        self.chain = chain
        self.control = Control(chain)
        self.view = View(chain, troubles or Troubles())
        self._serves_control = control
        self._endpoints = Endpoints(self)
        self._host = ""
        self._transports: set[asyncio.Transport] = set()
        reads = Reads(chain, self.view)
        self._reads = reads
        self._methods = reads.methods()
        self._methods["author_submitExtrinsic"] = lambda arguments: hex_of(
            submit(chain, arguments.data(0, "extrinsic"), None)
        )
        if control:
            self._methods |= self.control.methods() | self._endpoints.methods()
        self._known = {*self._methods, *SUBSCRIBE, *SUBSCRIBE.values(), "rpc_methods"}
        self._methods["rpc_methods"] = lambda _: {"methods": sorted(self._known)}
        self._ends = set(SUBSCRIBE.values())
        self._connections = 0
        self._runner: web.AppRunner | None = None
        self._starting: asyncio.Task[None] | None = None
        self.port = 0
        """The port that is listened on, once started."""

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the address is taken."""
        self._host = host
        await self._serve(_listen(host, port))

    def beside(self, troubles: Troubles) -> Server:
        """Another endpoint on a free port of the same host, which begins to serve in a moment."""
        other = Server(self.chain, control=self._serves_control, troubles=troubles)
        listener = _listen(self._host, 0)
        other._host, other.port = self._host, listener.getsockname()[1]
        other._starting = asyncio.get_running_loop().create_task(other._serve(listener))
        return other

    def cut(self) -> None:
        """Break all WebSocket connections."""
        for transport in tuple(self._transports):
            transport.abort()

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application(client_max_size=LARGEST_MESSAGE)
        activation = Activation(self.chain)
        for path in ("/activation", "/activation/activate", "/activation/create", "/activation/"):
            app.router.add_route("POST", path, activation.handle)
        app.router.add_route("GET", "/{path:.*}", self._websocket)  # clients write `/`, `/ws` or nothing
        app.router.add_route("POST", "/{path:.*}", self._http)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        self.port = int(listener.getsockname()[1])

    async def close(self) -> None:
        await self._endpoints.close()
        if self._starting is not None:
            await self._starting
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- transports -------------------------------------------------------------------------------------------

    async def _http(self, request: web.Request) -> web.StreamResponse:
        answer, _ = self._answer(await request.text(), None)
        if answer is None:
            return web.Response(status=204)
        return web.Response(text=json.dumps(answer), content_type="application/json")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=PING_S, compress=False)
        if not socket.can_prepare(request).ok:
            return web.Response(text="TFChain development chain: JSON-RPC over WebSocket and HTTP POST\n")
        if self._connections >= MOST_CONNECTIONS:
            return web.Response(status=503, text=f"at most {MOST_CONNECTIONS} connections")
        await socket.prepare(request)
        self._connections += 1
        transport = request.transport
        if transport is not None:
            self._transports.add(transport)
        outbox = Outbox(lambda: transport.abort() if transport is not None else None)
        subscriptions = Subscriptions(self.chain, self._reads, outbox)
        writer = asyncio.create_task(self._write(socket, outbox))
        try:
            async for message in socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                text = (
                    message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
                )
                answer, begins = self._answer(text, subscriptions)
                if answer is not None:
                    outbox.put(answer)
                for begin in begins:
                    begin()
        finally:
            self._connections -= 1
            if transport is not None:
                self._transports.discard(transport)
            subscriptions.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    async def _write(self, socket: web.WebSocketResponse, outbox: Outbox) -> None:
        while True:
            text = await outbox.next()
            with contextlib.suppress(ConnectionError):
                await socket.send_str(text)

    # -- requests ---------------------------------------------------------------------------------------------

    def _answer(self, text: str, subscriptions: Subscriptions | None) -> tuple[Any, list[Any]]:
        """The answer to a message (None for notifications alone), and subscriptions to begin after it is sent."""
        begins: list[Any] = []
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return _error(None, RpcError(PARSE_ERROR, "Parse error")), begins
        if not isinstance(request, list):
            return self._one(request, subscriptions, begins), begins
        if not request or len(request) > MOST_IN_BATCH:
            reason = f"Invalid Request: a batch has 1 to {MOST_IN_BATCH} requests"
            return _error(None, RpcError(INVALID_REQUEST, reason)), begins
        answers = [self._one(each, subscriptions, begins) for each in request]
        return [answer for answer in answers if answer is not None] or None, begins

    def _one(self, request: Any, subscriptions: Subscriptions | None, begins: list[Any]) -> Any:
        number = request.get("id") if isinstance(request, dict) else None
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(number, RpcError(INVALID_REQUEST, "Invalid Request"))
        if self.view.troubles.mute and not request["method"].startswith("dev_"):
            return None
        params = request.get("params")
        if isinstance(params, dict):
            params = list(params.values())
        try:
            arguments = Arguments(params if isinstance(params, list) else [])
            result = self._call(request["method"], arguments, subscriptions, begins)
        except RpcError as error:
            return _error(number, error)
        except Exception:
            log.exception("%s failed", request["method"])
            return _error(number, RpcError(INTERNAL, "Internal error"))
        if "id" not in request:
            return None
        return {"jsonrpc": "2.0", "result": result, "id": number}

    def _call(
        self, method: str, arguments: Arguments, subscriptions: Subscriptions | None, begins: list[Any]
    ) -> Any:
        if method in self._known:
            self.control.counts[method] = self.control.counts.get(method, 0) + 1
        if method in SUBSCRIBE:
            if subscriptions is None:
                raise RpcError(METHOD_NOT_FOUND, f"{method} needs a WebSocket")
            number, begin = subscriptions.subscribe(method, arguments)
            begins.append(begin)
            return number
        if method in self._ends:
            return subscriptions is not None and subscriptions.unsubscribe(arguments.raw(0))
        found = self._methods.get(method)
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return found(arguments)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _error(number: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": error.to_json(), "id": number}
