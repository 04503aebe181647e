"""The relay's port: WebSockets of peers, envelopes from other relays, metrics and health."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import structlog
from aiohttp import WSMsgType, web

from rmb.errors import MessageError
from rmb.gen2.session import Session
from rmb.gen2.token import Token, TokenError
from rmb.relay.connection import Transport
from rmb.relay.hub import Hub
from rmb.relay.metrics import Metrics
from rmb.relay.presence import Presence
from rmb.relay.router import Router
from rmb.relay.stores.message_store import StoreUnavailable
from rmb.relay.twins import Twins, TwinsUnavailable

log = structlog.get_logger("rmb.relay")

LARGEST_MESSAGE = 20 << 20
"""Bytes of one envelope, as the existing peers' largest payloads need; larger ones end the connection."""
HEADERS_S = 60.0


class RelayServer:
    """The HTTP application of one relay process."""

    def __init__(
        self,
        hub: Hub,
        router: Router,
        twins: Twins,
        metrics: Metrics,
        presence: Presence,
        largest: int = LARGEST_MESSAGE,
    ) -> None:
        self._hub = hub
        self._router = router
        self._twins = twins
        self._metrics = metrics
        self._presence = presence
        self._largest = largest
        self.is_draining = False
        """Set before the end: no new connections, and health says so."""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=self._largest)
        app.router.add_route("GET", "/metrics", self._show_metrics)
        app.router.add_route("GET", "/health", self._health)
        app.router.add_route("GET", "/{path:.*}", self._get)
        app.router.add_route("POST", "/", self._post)
        app.router.add_route("*", "/{path:.*}", self._nothing)
        return app

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    async def _show_metrics(self, request: web.Request) -> web.StreamResponse:
        if _wants_websocket(request):
            return await self._websocket(request)
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _health(self, request: web.Request) -> web.StreamResponse:
        if _wants_websocket(request):
            return await self._websocket(request)
        if self.is_draining:
            return web.Response(status=503, text="draining\n")
        return web.Response(text=f"ok, {len(self._hub)} sessions\n")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if _wants_websocket(request):
            return await self._websocket(request)
        return await self._nothing(request)

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="page not found")

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            reason = self._router.from_relay(await request.read())
        except MessageError as problem:
            return web.Response(status=400, text=str(problem))
        return web.Response(status=404, text=reason) if reason else web.Response(status=202)

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        try:
            session = await self._who(request.rel_url.raw_query_string)
        except _Refused as refused:
            self._metrics.rejected.labels(refused.text.partition(":")[0]).inc()
            return web.Response(status=refused.status, text=refused.text)
        socket = web.WebSocketResponse(max_msg_size=self._largest, compress=False)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        if self._hub.is_full or self.is_draining:
            await socket.close(code=1013)
            return socket
        connection = self._hub.attach(session, cast(Transport, transport))
        self._presence.came(session)
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    break  # a text frame ends the connection, as with the existing relay
                try:
                    self._router.from_peer(session, message.data)
                except MessageError as problem:
                    log.info(
                        "a peer sent what is no envelope, and is cut off",
                        session=str(session),
                        why=str(problem),
                    )
                    break
        finally:
            if self._hub.detach(connection):
                self._presence.went(session)
        return socket

    async def _who(self, text: str) -> Session:
        """The session that a token proves."""
        if not text:
            raise _Refused(400, "missing jwt")
        try:
            token = Token.parse(text)
            twin = await self._twins.get(token.session.twin)
            if twin is None:
                raise _Refused(401, f"twin not found {token.session.twin}")
            await asyncio.to_thread(token.verify, twin.public_key, int(time.time()))
        except TokenError as problem:
            raise _Refused(401, f"invalid jwt: {problem}") from problem
        except (TwinsUnavailable, StoreUnavailable) as problem:
            raise _Refused(500, f"failed to get twin: {problem}") from problem
        return token.session


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _wants_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"
