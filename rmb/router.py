"""Answer commands that other twins call through the local peer."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from typing import Any, Final

import structlog
from pydantic import BaseModel

from gridtypes import TwinId
from rmb import queues
from rmb.errors import BusUnavailable, HandlerError, MessageError
from rmb.gen1 import time_rules
from rmb.gen1.message import MAX_SIZE, Message
from rmb.list_reader import ListReader
from rmb.pause import Pause
from rmb.presence import BEAT, Presence
from rmb.redis_link import RedisAddress, RedisLink
from rmb.request import Request
from rmb.routes import Handler, Middleware, Routes

NOT_FOUND: Final = "function not found"
"""What a generation 1 router says to a command that it does not have."""
MAX_IN_FLIGHT: Final = 256
DRAIN: Final = 5.0
"""Seconds that running handlers get to finish when the router stops."""

log = structlog.get_logger("rmb.router")


class Router:
    """Serves a tree of commands from the local Redis.

    Each request runs in a task of its own, until it is done or its caller has given up.  A request whose lifetime is
    over is answered with an error and never executed.  What a handler raises:

    * HandlerError, and every type in `designed_errors`: its text goes to the caller;
    * anything else is our fault: the traceback goes to the log, the caller gets a number to quote.

    A handler is cancelled when its request expires, so it has to be safe to cut at every `await`.
    """

    def __init__(
        self,
        redis: RedisLink | str | None = None,
        *,
        not_found: str = NOT_FOUND,
        designed_errors: tuple[type[Exception], ...] = (),
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._link = redis if isinstance(redis, RedisLink) else RedisLink(RedisAddress.parse(redis))
        self._routes = Routes()
        self._not_found = not_found
        self._designed: tuple[type[Exception], ...] = (HandlerError, MessageError, *designed_errors)
        self._slots = asyncio.Semaphore(max_in_flight)
        self._numbers = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()

    def subroute(self, name: str) -> Routes:
        """The level below `name`, to register handlers and middlewares on."""
        return self._routes.subroute(name)

    def use(self, middleware: Middleware) -> None:
        """Let `middleware` see every request; it raises HandlerError to refuse one."""
        self._routes.use(middleware)

    def handle(self, name: str, handler: Handler) -> None:
        """Answer the command `name` (its full dotted name)."""
        self._routes.handle(name, handler)

    async def serve(self) -> None:
        """Serve until cancelled.  Redis being away is waited for; running handlers get a while to finish at the end."""
        commands = sorted(self._routes.commands())
        if not commands:
            raise ValueError(
                "a router without a single handler would wait for nothing: register handlers first"
            )
        presence = Presence(self._link, uuid.uuid4().hex, commands)
        reader = ListReader(self._link, [queues.command(name) for name in (*commands, *presence.roots)])
        beat = asyncio.create_task(self._keep_present(presence))
        try:
            await self._read(reader, presence)
        finally:
            beat.cancel()
            await self._drain()
            await reader.close()
            try:
                await presence.leave()
            except BusUnavailable as error:
                log.warning("could not say goodbye", reason=str(error))

    async def _read(self, reader: ListReader, presence: Presence) -> None:
        pause = Pause()
        while True:
            await self._slots.acquire()
            handed_over = False
            try:
                found = await reader.take()
                if found is not None:
                    task = asyncio.create_task(self._work(presence, found[1]))
                    handed_over = True
                    self._running.add(task)
                    task.add_done_callback(self._finished)
                pause.reset()
            except BusUnavailable as error:
                log.warning("waiting for Redis", reason=str(error))
                await pause.wait()
            finally:
                if not handed_over:
                    self._slots.release()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request could not be answered", exc_info=error)

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running), timeout=DRAIN)
        for task in set(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running), timeout=DRAIN)

    async def _keep_present(self, presence: Presence) -> None:
        while True:
            try:
                for raw in await presence.beat():
                    await self._apologise(raw)
            except BusUnavailable as error:
                log.warning("cannot announce the commands", reason=str(error))
            await asyncio.sleep(BEAT)

    async def _apologise(self, raw: bytes) -> None:
        """Answer a request that a router took with it when it died."""
        message = Message.from_json(raw)
        text = "interrupted: the service died while it worked on this; ask again"
        reply = message.reply(int(time.time()), error=text)
        await self._link.command("LPUSH", queues.REPLY, reply.to_json())

    async def _work(self, presence: Presence, raw: bytes) -> None:
        """Answer one request, whatever happens."""
        try:
            message = Message.from_json(raw)
        except MessageError as error:
            log.warning("dropped what is no request", reason=str(error))
            return
        number = next(self._numbers)
        until = time_rules.deadline(message.now, message.expiration) + DRAIN
        try:
            await presence.begin(number, raw)
            reply = await self._reply_to(message)
        except asyncio.CancelledError:
            text = "interrupted: the service is stopping; ask again"
            await presence.answer(number, message.reply(int(time.time()), error=text).to_json())
            raise
        pause = Pause()
        while True:
            try:
                await presence.answer(number, reply)
                return
            except BusUnavailable as error:
                if time.time() > until:
                    raise
                log.warning("waiting for Redis", uid=message.uid, reason=str(error))
                await pause.wait()

    async def _reply_to(self, message: Message) -> bytes:
        expires_at = time_rules.deadline(message.now, message.expiration)
        payload: bytes | None = None
        error = ""
        if time.time() >= expires_at:
            error = (
                f"message has expired: sent at {message.now} for {time_rules.lifetime(message.expiration)} s, "
                f"it is {int(time.time())} here"
            )
        else:
            limit = asyncio.timeout(expires_at - time.time())
            try:
                async with limit:
                    payload = await self._call(_request(message, expires_at))
            except self._designed as refusal:
                error = str(refusal) or type(refusal).__name__
            except Exception as failure:
                if limit.expired():
                    error = f"not done within the lifetime of the call, {time_rules.lifetime(message.expiration)} s"
                else:
                    error = (
                        f"internal error in {message.command}; the log of the service has it as {message.uid}"
                    )
                    log.error(
                        "handler failed",
                        command=message.command,
                        uid=message.uid,
                        twin=message.source,
                        exc_info=failure,
                    )
        reply = message.reply(int(time.time()), payload, error).to_json()
        if len(reply) > MAX_SIZE:
            text = f"the answer of {message.command} is {len(reply)} bytes, a message may have {MAX_SIZE}"
            reply = message.reply(int(time.time()), error=text).to_json()
        return reply

    async def _call(self, request: Request) -> bytes:
        route = self._routes.resolve(request.command)
        for middleware in route.middlewares:
            await middleware(request)
        if route.handler is None:
            raise HandlerError(self._not_found)
        return _encode(await route.handler(request))


def _request(message: Message, expires_at: float) -> Request:
    return Request(TwinId(message.source), message.command, message.payload(), expires_at, message.uid)


def _encode(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json().encode()
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
