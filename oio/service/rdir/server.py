"""The reverse index as a service: HTTP with JSON bodies below `/v1/rdir/meta2`, as OpenIO SDS serves it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from oio.naming import MAX_NAME, is_cid, is_service_id
from oio.service import status
from oio.service.rdir.records import MAX_LIMIT, Record, Records, UnknownVolume
from oio.service.rpc import Arguments, RpcServer
from oio.service.status import ServiceError

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_BODY: Final = 1 << 16
"""Largest body in bytes."""
MAX_URL: Final = 3 * MAX_NAME + 2
Document = dict[str, Any]


class Rdir:
    """Serves the indexes that it keeps below `folder`."""

    def __init__(self, folder: Path, secret: str = "") -> None:
        self._folder = folder
        self._records: Records | None = None
        self._lock = asyncio.Lock()
        acts = {"create": self.create, "push": self.push, "delete": self.delete, "fetch": self.fetch}
        routes = [web.post(f"/v1/rdir/meta2/{name}", self._answering(act)) for name, act in acts.items()]
        routes.append(web.get("/v1/rdir/meta2/fetch", self._answering(self.fetch)))
        self._server = RpcServer({"ping": self._ping, "info": self._info}, routes, secret)

    async def start(self, host: str, port: int) -> str:
        """Listen; the address. OSError when the port is taken."""
        self._records = await asyncio.to_thread(Records, self._folder / "rdir.sqlite")
        await self._server.start(host, port)
        return self._server.address

    async def stop(self) -> None:
        """Stop listening and close the file."""
        await self._server.stop()
        if self._records is not None:
            self._records.close()

    async def create(self, volume: str, body: Document) -> web.Response:
        """Make the index of a volume."""
        await self._on_records(lambda records: records.create(volume))
        return web.Response(status=201)

    async def push(self, volume: str, body: Document) -> web.Response:
        """Add a record."""
        mtime = body.get("mtime", 0)
        if not isinstance(mtime, int) or isinstance(mtime, bool) or not 0 <= mtime < 1 << 62:
            raise ServiceError(status.BAD_REQUEST, "Invalid field [mtime]: seconds since 1970 are expected")
        url, cid = _identity(body)
        await self._on_records(lambda records: records.push(volume, Record(url, cid, mtime)))
        return web.Response(status=204)

    async def delete(self, volume: str, body: Document) -> web.Response:
        """Forget a record."""
        url, cid = _identity(body)
        await self._on_records(lambda records: records.delete(volume, url, cid))
        return web.Response(status=204)

    async def fetch(self, volume: str, body: Document) -> web.Response:
        """A page of records."""
        limit = body.get("limit")
        if limit is None:
            limit = MAX_LIMIT
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ServiceError(status.BAD_REQUEST, "Invalid field [limit]: a number from 1 on is expected")
        prefix, marker = (_text(body, name, optional=True) for name in ("prefix", "marker"))
        wanted = min(limit, MAX_LIMIT)
        found, more = await self._on_records(lambda records: records.fetch(volume, prefix, marker, wanted))
        rows = [
            {"container_id": one.cid, "container_url": one.url, "extra_data": None, "mtime": one.mtime}
            for one in found
        ]
        text = json.dumps({"records": rows, "truncated": more}).encode()
        return web.Response(body=text, headers={"Content-Type": "application/json"})

    async def _on_records(self, act: Callable[[Records], T]) -> T:
        records = self._records
        if records is None:
            raise ServiceError(status.UNAVAILABLE, "the rdir service has not started")
        async with self._lock:
            try:
                return await asyncio.to_thread(act, records)
            except UnknownVolume as error:
                raise ServiceError(status.NOT_FOUND, "DB not found") from error

    def _answering(self, act: Callable[[str, Document], Any]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            try:
                volume = request.query.get("vol", "")
                if not is_service_id(volume):
                    raise ServiceError(status.BAD_REQUEST, "Missing or invalid parameter 'vol'")
                answered: web.Response = await act(volume, await _document(request))
                return answered
            except ServiceError as error:
                body = json.dumps({"status": error.status, "message": error.message}).encode()
                headers = {"Content-Type": "application/json"}
                return web.Response(status=status.http_status(error.status), body=body, headers=headers)

        return answer

    async def _ping(self, _args: Arguments) -> str:
        return "OK"

    async def _info(self, _args: Arguments) -> Document:
        return {"version": "oio-directory/1", "type": "rdir", "requests": self._server.requests}


async def _document(request: web.Request) -> Document:
    if (request.content_length or 0) > MAX_BODY:
        raise ServiceError(413, f"Body too large: at most {MAX_BODY} bytes are allowed")
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ServiceError(status.BAD_REQUEST, "Invalid JSON") from error
    if not isinstance(document, dict):
        raise ServiceError(status.BAD_REQUEST, "Expected: json object")
    return document


def _identity(body: Document) -> tuple[str, str]:
    url, cid = _text(body, "container_url"), _text(body, "container_id")
    if not is_cid(cid):
        raise ServiceError(status.BAD_REQUEST, "Invalid field [container_id]: 64 hexadecimal digits")
    return url, cid.upper()


def _text(body: Document, name: str, optional: bool = False) -> str:
    value = body.get(name)
    if value is None and optional:
        return ""
    if not isinstance(value, str) or not (value or optional):
        raise ServiceError(status.BAD_REQUEST, f"Missing or invalid field [{name}]: a text is expected")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = MAX_URL + 1
    if size > MAX_URL or "\0" in value:
        raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: up to {MAX_URL} bytes of UTF-8")
    return value
