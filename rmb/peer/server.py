"""The HTTP side: what other peers and proxies post to us."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import replace
from typing import Any, Final

import structlog
from aiohttp import web

from rmb import queues
from rmb.errors import BusUnavailable, MessageError
from rmb.gen1 import time_rules
from rmb.gen1.message import MAX_SIZE, Message
from rmb.gen1.uid import is_uuid4
from rmb.peer.gatekeeper import BAD_JSON, Gatekeeper, Refused
from rmb.peer.replies import Replies
from rmb.peer.sender import Sender
from rmb.peer.store import Entry, PeerStore

log = structlog.get_logger("rmb.peer")

BODY_TIMEOUT: Final = 10.0
"""Seconds that a body may take."""
_ACCEPTED: Final = b'{"status": "accepted"}'


class PeerServer:
    """Handlers of the four paths.  Answers are the reference daemon's, status and body."""

    def __init__(
        self, store: PeerStore, gatekeeper: Gatekeeper, replies: Replies, sender: Sender, connections: int
    ) -> None:
        self._store = store
        self._gatekeeper = gatekeeper
        self._replies = replies
        self._sender = sender
        self._free = connections

    def application(self) -> web.Application:
        """The aiohttp application; any method is accepted, as there."""
        application = web.Application(client_max_size=MAX_SIZE, middlewares=[self._guard])
        for path, handler in {
            "/zbus-remote": self._remote,
            # rmb-rs documents this name, its code and everybody else use the other (decision 26).
            "/rmb-remote": self._remote,
            "/zbus-reply": self._reply,
            "/rmb-reply": self._reply,
            "/zbus-cmd": self._command,
            "/zbus-result": self._result,
        }.items():
            application.router.add_route("*", path, handler)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Turn every trouble into its answer, and bound what runs at once."""
        if self._free <= 0:
            return _refusal(503, "too many requests at once; try again later")
        self._free -= 1
        try:
            response: web.StreamResponse = await handler(request)
            return response
        except Refused as refusal:
            log.info(
                "refused", path=request.path, status=refusal.status, reason=refusal.text, peer=request.remote
            )
            return _refusal(refusal.status, refusal.text)
        except web.HTTPNotFound:
            return web.Response(status=404, text="404 page not found\n")
        finally:
            self._free += 1

    async def _remote(self, request: web.Request) -> web.Response:
        message = await self._gatekeeper.admit(await _body(request))
        # A Rust peer sends its client's own list as `ret`; here every reply goes to one list, whatever was sent.
        await self._deliver(replace(message, proxied=False, reply_to=queues.REPLY, tag=None), message)
        return _json(_ACCEPTED)

    async def _reply(self, request: web.Request) -> web.Response:
        message = await self._gatekeeper.admit(await _body(request))
        try:
            entry = await self._replies.take(replace(message, tag=None), *_memory(message))
        except BusUnavailable as error:
            raise Refused(500, f"couldn't push entry to reply queue: {error}") from error
        if entry is Entry.REPLAYED:
            raise Refused(400, "message was received before")
        return _json(_ACCEPTED)

    async def _command(self, request: web.Request) -> web.Response:
        message = await self._gatekeeper.admit(await _body(request))
        reply_to = str(uuid.uuid4())
        await self._deliver(replace(message, proxied=True, reply_to=reply_to, tag=None), message)
        return _json(json.dumps({"retqueue": reply_to}, separators=(",", ":")).encode())

    async def _result(self, request: web.Request) -> web.Response:
        reply_to = _result_queue(await _body(request))
        try:
            found = await self._store.proxied(reply_to)
        except BusUnavailable as error:
            raise Refused(500, f"couldn't read the result: {error}") from error
        return _json(b"[" + b",".join(self._opened(reply).to_json() for reply in found) + b"]")

    async def _deliver(self, message: Message, as_received: Message) -> None:
        """Queue a request for its service.  Raises Refused."""
        if not message.command:
            raise Refused(400, "missing command request")
        try:
            entry = await self._store.deliver(message, *_memory(as_received))
        except BusUnavailable as error:
            log.error("could not queue a message", reason=str(error))
            raise Refused(500, "couldn't queue message for processing") from error
        if entry is Entry.REPLAYED:
            raise Refused(400, "message was received before")
        if entry is Entry.TWIN_FULL:
            raise Refused(
                429, f"too many requests of twin {message.source} wait for an answer; try again later"
            )
        if entry is Entry.FULL:
            raise Refused(503, "too many requests wait for their service; try again later")

    def _opened(self, reply: Message) -> Message:
        """A kept reply as `/zbus-result` shows it: payload decoded, time stamp and signature new."""
        try:
            text = reply.payload().decode("utf-8", "replace")
        except MessageError:
            text = reply.data
        return self._sender.signed(replace(reply, data=text, now=int(time.time())))


async def _body(request: web.Request) -> bytes:
    """The whole body.  Raises Refused when it is too large or too slow."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Refused(413, f"the body is larger than {MAX_SIZE} bytes") from error
    except TimeoutError as error:
        raise Refused(408, f"the body did not come within {BODY_TIMEOUT:.0f} s") from error


def _memory(message: Message) -> tuple[str, int]:
    """Replay key of a message as it came, and how long it has to be remembered."""
    key = queues.replay(message.source, message.challenge().hex())
    return key, time_rules.fresh_until(message.now) + 1


def _result_queue(body: bytes) -> str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, BAD_JSON) from error
    if not isinstance(value, dict):
        raise Refused(400, BAD_JSON)
    found = next((item for key, item in value.items() if key.lower() == "retqueue"), "")
    if not isinstance(found, str):
        raise Refused(400, BAD_JSON)
    if not is_uuid4(found):
        raise Refused(400, "Invalid Retqueue, it should be a valid UUID")
    return found


def _refusal(status: int, text: str) -> web.Response:
    body = json.dumps({"Status": "error", "Message": text}, separators=(",", ":"), ensure_ascii=False) + "\n"
    return _json(body.encode(), status)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")
