"""The protocol between the services: POST `/rpc/<verb>` with a MessagePack map, answered by a MessagePack map.

An answer is `{"status": int, "message": str, "body": any}`; the HTTP status is 200 whenever the verb was reached. The
protocol is internal: both ends are of the same release. Where the namespace has a secret, every call but `ping` carries
it, so that nobody else can speak as a peer. A call carries how long its answer is waited for, where the request that it
is made for has an end.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, cast

import aiohttp
import msgpack
from aiohttp import web

from oio.service import deadline, status
from oio.service.status import ServiceError

log = logging.getLogger(__name__)

MAX_BODY: Final = 256 << 20
"""Largest message in bytes: a whole base must fit."""
CONNECT_TIMEOUT: Final = 2.0
SECRET_HEADER: Final = "x-oio-secret"
OPEN: Final = "ping"
"""The verb that everybody may call: whether a service is there."""
CONTENT_TYPE: Final = "application/msgpack"


class Arguments:
    """Arguments of a verb, read with their types; ServiceError 400 names the field that is wrong."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: a string is expected")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: an integer is expected")
        return value

    def flag(self, name: str) -> bool:
        """Whether the field is there and true."""
        return self._values.get(name) is True

    def data(self, name: str) -> bytes:
        """Bytes."""
        value = self._values.get(name)
        if not isinstance(value, bytes):
            raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: bytes are expected")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty when the field is missing."""
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: a list of strings is expected")
        return cast(list[str], value)

    def mapping(self, name: str) -> dict[str, str]:
        """An object of texts; empty when the field is missing."""
        value = self._values.get(name, {})
        if not isinstance(value, dict) or not all(
            isinstance(k, str) and isinstance(v, str) for k, v in value.items()
        ):
            raise ServiceError(
                status.BAD_REQUEST, f"Invalid field [{name}]: an object of strings is expected"
            )
        return cast(dict[str, str], value)

    def raw(self, name: str) -> Any:
        """The value as it came; None when the field is missing."""
        return self._values.get(name)


Verb = Callable[[Arguments], Awaitable[Any]]


class RpcServer:
    """Serves verbs, and other routes beside them, on one address; `address` is the real one after `start`.

    Callers must know `secret`, unless it is empty.
    """

    def __init__(
        self, verbs: Mapping[str, Verb], routes: Sequence[web.RouteDef] = (), secret: str = ""
    ) -> None:
        self.verbs = dict(verbs)
        self._secret = secret
        self._routes = routes
        self.address = ""
        self.requests = 0
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; OSError when the port is taken."""
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post("/rpc/{verb}", self._serve)
        application.add_routes(self._routes)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.address = f"{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening; requests in flight get a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(body=msgpack.packb(await self._answer(request)), content_type=CONTENT_TYPE)

    async def _answer(self, request: web.Request) -> dict[str, Any]:
        verb = self.verbs.get(request.match_info["verb"])
        if verb is None:
            return {"status": status.NOT_FOUND, "message": f"No verb {request.match_info['verb']!r}"}
        told = request.headers.get(SECRET_HEADER, "")
        if request.match_info["verb"] != OPEN and not hmac.compare_digest(
            told.encode(), self._secret.encode()
        ):
            return {
                "status": status.NOT_ALLOWED,
                "message": "the caller does not know the namespace's secret",
            }
        try:
            values = msgpack.unpackb(await request.read(), strict_map_key=False)
        except (ValueError, msgpack.UnpackException):
            return {"status": status.BAD_REQUEST, "message": "Invalid MessagePack"}
        if not isinstance(values, dict):
            return {"status": status.BAD_REQUEST, "message": "Expected: MessagePack map"}
        try:
            with deadline.within(deadline.told(request.headers.get(deadline.HEADER, ""))):
                deadline.check()
                return {"status": status.OK, "message": "OK", "body": await verb(Arguments(values))}
        except ServiceError as error:
            return {"status": error.status, "message": error.message, "body": error.body}
        except Exception as error:
            log.exception("verb %s failed", request.match_info["verb"])
            return {"status": 500, "message": f"{type(error).__name__}: {error}"}


class RpcClient:
    """Calls verbs of other services, from the address `host` if one is given; one for a process, closed at its end."""

    def __init__(self, host: str = "", secret: str = "") -> None:
        self._headers = {SECRET_HEADER: secret} if secret else {}
        self._local = (host, 0) if host else None
        self._session: aiohttp.ClientSession | None = None

    async def call(self, address: str, verb: str, args: Mapping[str, Any], timeout: float = 10.0) -> Any:
        """The verb's result. ServiceError carries the other's status, or a network status when it was not reached.

        `timeout` is in seconds; it is less when the request in hand ends before, and 504 when it has.
        """
        timeout, allowed = deadline.left(timeout), deadline.header()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=256, limit_per_host=64, local_addr=self._local)
            )
        limits = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, CONNECT_TIMEOUT))
        try:
            async with self._session.post(
                f"http://{address}/rpc/{verb}",
                data=msgpack.packb(dict(args)),
                timeout=limits,
                headers={**self._headers, **allowed},
            ) as response:
                answer = msgpack.unpackb(await response.read(), strict_map_key=False)
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            message = f"{address}: [errno={number}] {os.strerror(number)}"
            raise ServiceError(status.REFUSED, message) from error
        except TimeoutError as error:
            raise ServiceError(status.READ_TIMEOUT, f"{address}: no answer within {timeout:g} s") from error
        except aiohttp.ServerDisconnectedError as error:
            raise ServiceError(status.RESET, f"{address}: connection closed before an answer") from error
        except (aiohttp.ClientError, OSError, ValueError, msgpack.UnpackException) as error:
            raise ServiceError(status.NETWORK, f"{address}: {error}") from error
        if answer["status"] != status.OK:
            raise ServiceError(int(answer["status"]), str(answer["message"]), answer.get("body"))
        return answer.get("body")

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
