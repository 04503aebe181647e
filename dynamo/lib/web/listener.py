"""Where requests come in: HTTP for those who only read, HTTPS with certificates for everybody."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.dn import dn_of_subject, dn_of_text
from dynamo.core.serverconfig import WebConfig
from dynamo.dataformat import Configuration, ConfigurationError
from dynamo.web.answer import Answer, WebRequest, envelope, path_parts
from dynamo.web.loader import MODES, Loader
from dynamo.web.modules._html import CONTENTS
from dynamo.web.request import NOBODY, Caller
from dynamo.web.worker import answer_in_child

LOG = logging.getLogger(__name__)

MAX_BODY = 64 << 20
"""Largest body of a request, in bytes."""
_TYPES = {".js": "text/javascript", ".css": "text/css"}


class Listener:
    """Answers requests, at most `max_procs` at a time, until cancelled."""

    def __init__(self, config: WebConfig, scheduler: Scheduler, scratch: Path) -> None:
        """Raises ConfigurationError when the configuration of modules cannot be read."""
        self._config = config
        self._scheduler = scheduler
        self._scratch = scratch
        self._modules = Configuration(config.modules_config_path)
        self._loader = Loader([Path(folder) for folder in config.module_folders])
        self._contents = CONTENTS if config.contents_path is None else Path(config.contents_path)
        self._room = asyncio.Semaphore(config.max_procs)
        self.ports: dict[str, int] = {}

    async def serve(self, started: asyncio.Event) -> None:
        """Listen; `ports` is known once `started` is set."""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            for scheme, port in (("http", self._config.http_port), ("https", self._config.https_port)):
                if port is None:
                    continue
                context = None if scheme == "http" else self._context()
                site = web.TCPSite(runner, self._config.host, port, ssl_context=context)
                await site.start()
                server = site._server  # the port that was bound; aiohttp shows it nowhere else
                assert isinstance(server, asyncio.Server)
                self.ports[scheme] = server.sockets[0].getsockname()[1]
                LOG.info("Web: %s://%s:%d", scheme, self._config.host, self.ports[scheme])
            if self._config.socket is not None:
                await self._listen_for_a_front(runner, Path(self._config.socket))
            started.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    @staticmethod
    async def _listen_for_a_front(runner: web.AppRunner, path: Path) -> None:
        path.unlink(missing_ok=True)
        site = web.UnixSite(runner, str(path))
        await site.start()
        path.chmod(0o660)  # whoever can write here can claim to be any user
        LOG.info("Web: %s for a front", path)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
        files = (self._config.certfile, self._config.keyfile, self._config.capath)
        if None in files:
            raise ConfigurationError("web.https_port needs web.certfile, web.keyfile and web.capath")
        certificate, key, authorities = (str(file) for file in files)
        try:
            context.load_cert_chain(certificate, key)
            is_folder = Path(authorities).is_dir()
            context.load_verify_locations(
                cafile=None if is_folder else authorities, capath=authorities if is_folder else None
            )
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"Certificates of web cannot be used: {error}") from None
        return context

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        version = f'"{self._scheduler.member.applied}"'
        answer = await self._answer(request)
        LOG.info("%s %s %s: %d", request.remote or "front", request.method, request.raw_path, answer.status)
        headers = {name: value for name, value in answer.headers}
        if answer.status == 200 and _depends_on_inventory_only(request):
            headers["ETag"] = version
            if request.headers.get("If-None-Match") == version:
                return web.Response(status=304, headers={"ETag": version})
        headers["Content-Type"] = f"{answer.content_type}; charset=utf-8"
        headers.setdefault("X-Content-Type-Options", "nosniff")
        return web.Response(status=answer.status, body=answer.body.encode(), headers=headers)

    async def _answer(self, request: web.Request) -> Answer:
        if request.method != "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site":
            # A browser sends the certificate along with whatever a page of somebody else makes it send.
            return envelope(403, "A page of another site sent this request.")
        mode, module, command = path_parts(request.path)
        if mode in ("js", "css"):
            return self._file(mode, "/".join(filter(None, (module, command))))
        if mode not in (*MODES, "phedexdata"):
            return envelope(404, f"Invalid request {mode}.")
        caller, authenticated = NOBODY, False
        front = _front_dn(request)
        if request.secure or front is not None:
            found = self._caller(request, front)
            if isinstance(found, Answer):
                return found
            caller, authenticated = found, True
        if not (self._scheduler.inventory.loaded and self._scheduler.member.is_online):
            return envelope(503, "Server temporarily not available. Please try again in a few moments.")
        content_type = request.headers.get("Content-Type")
        asked = WebRequest(
            mode,
            module,
            command,
            request.method,
            request.url.raw_query_string,
            await request.read(),
            content_type,
            caller,
            authenticated,
        )
        async with self._room:
            answer = await answer_in_child(asked, self._loader, self._modules, self._scheduler, self._scratch)
        return _phedex(answer, request, module, command) if mode == "phedexdata" else answer

    def _caller(self, request: web.Request, front: str | None) -> Caller | Answer:
        if front is None:
            transport = request.transport
            certificate = (transport.get_extra_info("peercert") if transport else None) or {}
            dn = dn_of_subject(certificate.get("subject", ()))
        else:
            dn = dn_of_text(front)
        user = self._scheduler.users.identify_user(dn, check_trunc=True)
        if user is None:
            return envelope(403, f"Unknown user. Client name: {dn}")
        return Caller(user.name, user.dn, user.id, self._scheduler.users.list_user_auth(user.name))

    def _file(self, mode: str, name: str) -> Answer:
        base = (self._contents / mode).resolve()
        path = (base / name).resolve()
        if base in path.parents and path.is_file():
            return Answer(200, _TYPES.get(path.suffix, "text/plain"), path.read_text())
        return Answer(404, "text/plain", f"Invalid request {mode}/{name}.\n\n")


def _front_dn(request: web.Request) -> str | None:
    """The name in the certificate that a front has seen.  Nothing that came over TCP is believed."""
    transport = request.transport
    connected = None if transport is None else transport.get_extra_info("socket")
    if connected is None or connected.family != socket.AF_UNIX:
        return None
    if request.headers.get("X-Request-Scheme", "http") != "https":
        return None
    return request.headers.get("X-SSL-Client-S-DN", "")


def _depends_on_inventory_only(request: web.Request) -> bool:
    mode, module, command = path_parts(request.path)
    others = ("requestlist", "transferrequests")
    return request.method == "GET" and mode == "data" and module == "inventory" and command not in others


def _phedex(answer: Answer, request: web.Request, module: str, command: str) -> Answer:
    value = json.loads(answer.body)
    if answer.status != 200:
        return answer
    now = time.time()
    call: dict[str, Any] = {
        "call_time": 0.0,
        "instance": "prod",
        "request_call": f"{module}/{command}",
        "request_date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
        "request_timestamp": now,
        "request_url": str(request.url),
        "request_version": "2.2.1",
    }
    data = value.get("data")
    return Answer(200, "application/json", json.dumps({"phedex": {**call, **(data or {})}}) + "\n")
