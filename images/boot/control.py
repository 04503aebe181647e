"""The first process's socket: what runs, since when, and what it printed.  One JSON request, one JSON answer.

Whoever may open the socket is root on the node; `zosctl` uses the reading verbs alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from images.boot.pid1 import Init

SOCKET = Path("/run/zos-init.sock")
MOST_REQUEST = 4096
PATIENCE_S = 1.0
"""The first process waits no longer for a slow client."""
MOST_ANSWER = 4 << 20


class ControlError(Exception):
    """The first process cannot be asked, or refused; the message says why."""


class ControlServer:
    """Answers one connection at a time inside the first process's loop."""

    def __init__(self, path: Path, init: Init) -> None:
        self._path = path
        self._init = init
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(mask)
        self._socket.listen(16)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def serve_one(self) -> None:
        """Answer whoever waits; a client that misbehaves is dropped."""
        with contextlib.suppress(OSError, ValueError):
            peer, _ = self._socket.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                raw = b""
                while b"\n" not in raw and len(raw) <= MOST_REQUEST:
                    piece = peer.recv(MOST_REQUEST)
                    if not piece:
                        break
                    raw += piece
                peer.sendall(json.dumps(self._answer(json.loads(raw))).encode())

    def _answer(self, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict):
            return {"error": "a request is a JSON object"}
        verb, name = str(request.get("do")), str(request.get("unit", ""))
        units = self._init.supervision.units
        if verb in ("start", "stop", "restart", "status") and name not in units:
            return {"error": f"no unit {name!r}; there are {', '.join(sorted(units))}"}
        now = time.monotonic()
        match verb:
            case "list":
                return {"units": [self._describe(each, now) for each in units]}
            case "status":
                return {"unit": self._describe(name, now)}
            case "log":
                return self._log(name, request.get("lines", 100))
            case "start":
                self._init.supervision.start(name, now)
            case "stop":
                self._init.supervision.stop(name)
            case "restart":
                self._init.supervision.restart(name, now)
            case "reboot":
                self._init.begin_end(0x01234567)
            case "kexec":
                self._init.begin_end(0x45584543)
            case "poweroff":
                self._init.begin_end(0x4321FEDC)
            case _:
                return {"error": f"unknown verb {verb[:40]!r}"}
        return {"done": True}

    def _describe(self, name: str, now: float) -> dict[str, Any]:
        watched = self._init.supervision.units[name]
        return {
            "name": name,
            "state": watched.state.value,
            "age": round(now - watched.since, 1),
            "restarts": watched.restarts,
            "last_exit": watched.last_exit,
            "why": watched.why,
            "waits_for": self._init.supervision.waits_for(name),
        }

    def _log(self, name: str, lines: object) -> dict[str, Any]:
        rings = self._init.rings
        count = lines if isinstance(lines, int) and 0 < lines <= 2000 else 100
        if name and name not in rings:
            return {"error": f"no log of {name!r}; there are {', '.join(sorted(rings))}"}
        chosen = [rings[name]] if name else list(rings.values())
        return {"log": [line for ring in chosen for line in ring.tail(count)]}


def ask(request: dict[str, Any], path: Path = SOCKET, timeout: float = 10.0) -> dict[str, Any]:
    """Ask the first process.  Raises ControlError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout)
            link.connect(str(path))
            link.sendall(json.dumps(request).encode() + b"\n")
            raw = b""
            while piece := link.recv(65536):
                raw += piece
                if len(raw) > MOST_ANSWER:
                    raise ControlError("the first process's answer is too long")
        answer = json.loads(raw)
    except (OSError, ValueError) as problem:
        raise ControlError(f"the first process does not answer at {path}: {problem}") from problem
    if not isinstance(answer, dict) or "error" in answer:
        raise ControlError(str(answer.get("error") if isinstance(answer, dict) else "no object"))
    return answer
