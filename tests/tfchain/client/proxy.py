"""An endpoint in front of a development chain that can lag, stay silent, break off, or serve something else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, WSMsgType, web

Answer = Callable[[list[Any]], Any]
"""Result for parameters; raises `Fault` for an error, returns `PASS` for what is to be passed on."""
PASS = object()


class Fault(Exception):
    """A JSON-RPC error: code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Proxy:
    """Passes JSON-RPC on, but for what it is told to change."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.url = ""
        self.answers: dict[str, Answer] = {}
        """Methods that are answered here."""
        self.behind = 0
        """Blocks by which everything is older than upstream."""
        self.silent: set[str] = set()
        """Methods that get no answer."""
        self.drop_on: set[str] = set()
        """Methods at which the connection is cut, before they are passed on."""
        self.drop_after: set[str] = set()
        """Methods at which it is cut once upstream has the request."""
        self.mutes_pushes = False
        self.seen: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._open: set[web.WebSocketResponse] = set()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", int(self.url.rsplit(":", 1)[1]) if self.url else 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Refuse connections until the next start."""
        await self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def cut(self) -> None:
        """Break all connections."""
        for link in list(self._open):
            if link._req is not None and link._req.transport is not None:
                link._req.transport.abort()
        self._open.clear()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        near = web.WebSocketResponse(max_msg_size=0)
        await near.prepare(request)
        self._open.add(near)
        async with ClientSession() as session, session.ws_connect(self.upstream, max_msg_size=0) as far:
            pushes = asyncio.create_task(self._back(near, far))
            try:
                async for message in near:
                    if message.type is WSMsgType.TEXT and not await self._forward(
                        near, far, json.loads(message.data)
                    ):
                        break
            finally:
                pushes.cancel()
                self._open.discard(near)
        return near

    async def _back(self, near: web.WebSocketResponse, far: Any) -> None:
        async for message in far:
            if self.mutes_pushes and "params" in json.loads(message.data):
                continue
            await near.send_str(message.data)

    async def _forward(self, near: web.WebSocketResponse, far: Any, call: dict[str, Any]) -> bool:
        method, params = call["method"], call.get("params") or []
        self.seen[method] += 1
        if method in self.drop_on:
            self._abort(near)
            return False
        if method in self.silent:
            return True
        if method in self.answers:
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
            try:
                answer["result"] = self.answers[method](params)
            except Fault as fault:
                answer["error"] = {"code": fault.code, "message": str(fault)}
            if answer.get("result") is not PASS:
                await near.send_json(answer)
                return True
        if self.behind:
            call["params"] = await self._older(method, params)
        await far.send_json(call)
        if method in self.drop_after:
            await asyncio.sleep(0.1)
            self._abort(near)
            return False
        return True

    async def _older(self, method: str, params: list[Any]) -> list[Any]:
        """The same question, asked of an older best block."""
        if method in {"chain_getHeader", "chain_getBlock", "state_getRuntimeVersion"} and not params:
            return [await self._old_hash()]
        if method == "state_getStorage" and len(params) == 1:
            return [params[0], await self._old_hash()]
        if method == "chain_getBlockHash" and params and isinstance(params[0], int):
            return [params[0] if params[0] <= await self._old_number() else 0xFFFFFFF0]
        return params

    async def _old_number(self) -> int:
        return max(int((await self._ask("chain_getHeader", []))["number"], 16) - self.behind, 0)

    async def _old_hash(self) -> str:
        answer = await self._ask("chain_getBlockHash", [await self._old_number()])
        assert isinstance(answer, str)
        return answer

    async def _ask(self, method: str, params: list[Any]) -> Any:
        url = "http" + self.upstream.removeprefix("ws")
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with ClientSession() as session, session.post(url, json=body) as answer:
            return (await answer.json(content_type=None))["result"]

    def _abort(self, near: web.WebSocketResponse) -> None:
        if near._req is not None and near._req.transport is not None:
            near._req.transport.abort()
