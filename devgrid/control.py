"""The supervisor's control socket: one JSON object a line, one answer each.

`{"do": "status"}`, `{"do": "stop"}`, `{"do": "signal", "part": "node-1/zosd", "signal": "KILL"}`.  An answer is
`{"ok": …}` or `{"error": "…"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

REQUEST_LIMIT = 4096
CALL_TIMEOUT_S = 10.0


class ControlError(Exception):
    """The supervisor refused a request or cannot be reached."""


class ControlServer:
    """Answers requests with what `handle` returns; a ValueError or LookupError becomes an error answer."""

    def __init__(self, handle: Callable[[dict[str, Any]], Awaitable[Any]]) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=REQUEST_LIMIT)
        path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                line = await reader.readline()
            answer: dict[str, Any]
            try:
                answer = {"ok": await self._handle(json.loads(line))}
            except (ValueError, LookupError, OSError) as problem:
                answer = {"error": str(problem)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def call(path: Path, request: dict[str, Any], *, timeout: float = CALL_TIMEOUT_S) -> Any:
    """Ask the supervisor whose socket is `path`.  Raises ControlError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
    except OSError as problem:
        raise ControlError(f"the grid's supervisor does not answer at {path}: {problem}") from problem
    if not line:
        raise ControlError(f"the grid's supervisor at {path} hung up without an answer")
    answer = json.loads(line)
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer.get("ok")
