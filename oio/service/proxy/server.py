"""The proxy's HTTP server: finds the route, reads the request, turns every outcome into an answer."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import time
import uuid
from typing import Final

from aiohttp import web

from oio.service import deadline, status
from oio.service.proxy import admin, conscience, container, own, reference
from oio.service.proxy.call import MAX_BODY, Answer, Call
from oio.service.proxy.catalogue import Catalogue
from oio.service.proxy.context import Proxy, Route, Routes
from oio.service.proxy.directory import Directory
from oio.service.proxy.reference import LinkRefused
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from oio.service.status import ServiceError

log = logging.getLogger(__name__)

IN_NAMESPACE: Final[Routes] = {
    **reference.ROUTES,
    **admin.ROUTES,
    **container.ROUTES,
    **conscience.ROUTES,
}
ADMIN_SECRET_HEADER: Final = "x-oio-admin-secret"
"""Proves the admin right from elsewhere than this machine."""
GUARDED: Final = ("admin/", "forward/")
"""Paths that need the admin right; besides them, changing this proxy's own variables."""
NO_HANDLER: Final = ServiceError(status.NOT_FOUND, "No handler found")
LARGE: Final = ("admin/meta0_force",)


class ProxyServer:
    """Serves a namespace over HTTP. `consciences` is the comma list of where its consciences listen.

    Who calls from this machine may do everything; others must know `admin_secret` to administer, and cannot if it is
    empty.
    """

    def __init__(
        self,
        namespace: str,
        consciences: str,
        settings: Settings,
        secret: str = "",
        admin_secret: str = "",
    ) -> None:
        self._admin_secret = admin_secret
        rpc = RpcClient(secret=secret)
        catalogue = Catalogue(namespace, consciences.split(","), rpc, settings)
        directory = Directory(namespace, int(settings["ns.meta1_digits"]), catalogue, rpc)
        self.proxy = Proxy(namespace, rpc, catalogue, directory, settings)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; the address. OSError when the port is taken."""
        application = web.Application(client_max_size=32 * MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.proxy.rpc.close()

    async def _serve(self, request: web.Request) -> web.Response:
        self.proxy.requests += 1
        request_id = request.headers.get("x-oio-req-id", "")[:63] or f"proxy-{uuid.uuid4().hex}"
        try:
            answer = await self._answer(request)
        except ServiceError as error:
            answer = failure(error)
        except Exception as error:
            log.exception("request %s %s failed", request_id, request.path)
            answer = failure(ServiceError(500, f"{type(error).__name__}: {error}"))
        headers = {**answer.headers, "x-oio-req-id": request_id}
        reason = status.reason(answer.http)
        if answer.text is not None:
            return web.Response(status=answer.http, reason=reason, text=answer.text, headers=headers)
        if answer.document is None:
            return web.Response(status=answer.http, reason=reason, headers=headers)
        body = json.dumps(answer.document, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        # Clients decode a body only when its type is exactly this one, without a charset.
        headers["Content-Type"] = "application/json"
        return web.Response(status=answer.http, reason=reason, body=body, headers=headers)

    async def _answer(self, request: web.Request) -> Answer:
        route, path = self._route(request)
        if path.startswith(GUARDED) or (request.method, path) == ("POST", "config"):
            proof = request.headers.get(ADMIN_SECRET_HEADER, "")
            if not may_administer(request.remote or "", proof, self._admin_secret):
                raise ServiceError(
                    status.NOT_ALLOWED,
                    "Administration needs the admin right: call from the proxy's machine or know its admin secret",
                )
        body = await self._body(request, path)
        told = deadline.told(request.headers.get(deadline.HEADER, ""))
        most = self.proxy.settings.microseconds("proxy.request.max_delay")
        seconds = most if told is None else min(most, deadline.SHARE * told)
        headers = {name.lower(): value for name, value in request.headers.items()}
        end = time.monotonic() + seconds
        call = Call(self.proxy.namespace, dict(request.query), headers, body, end)
        try:
            async with asyncio.timeout(seconds):
                with deadline.within(seconds):
                    return await route(self.proxy, call)
        except TimeoutError as error:
            text = "the request's time has run out; if it changes something, the outcome is open"
            raise ServiceError(status.GATEWAY_TIMEOUT, text) from error

    def _route(self, request: web.Request) -> tuple[Route, str]:
        parts = request.path.split("/", 3)
        if len(parts) < 3 or parts[1] != "v3.0":
            raise NO_HANDLER
        path = request.path.removeprefix("/v3.0/")
        route = own.ROUTES.get((request.method, path))
        if route is not None:
            return route, path
        namespace, _, path = path.partition("/")
        route = IN_NAMESPACE.get((request.method, path))
        if route is None:
            raise NO_HANDLER
        if namespace != self.proxy.namespace:
            raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'namespace'")
        return route, path

    async def _body(self, request: web.Request, path: str) -> bytes:
        limit = MAX_BODY * (32 if path in LARGE else 1)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b""
            limit = -1
        if len(body) > limit:
            raise ServiceError(413, "Body too large: at most 1 MiB is allowed, 32 MiB for meta0_force")
        return body


def may_administer(caller: str, told: str, secret: str) -> bool:
    """Whether a caller at that address, who told a secret, has the admin right."""
    try:
        address = ipaddress.ip_address(caller.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address).is_loopback:
        return True
    return bool(secret) and hmac.compare_digest(told.encode(), secret.encode())


def failure(error: ServiceError) -> Answer:
    """The answer for an error."""
    http = status.http_status(error.status)
    if isinstance(error, LinkRefused):
        http = 403
    headers = {"Retry-After": "1"} if http == 503 else {}
    return Answer(http, {"status": error.status, "message": error.message}, headers)
