"""`tfchain-dev` as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_S = 30.0


class ChainProcess:
    """The process over one state file; it may be killed and started again."""

    def __init__(self, folder: Path, *flags: str, port: int | None = None) -> None:
        self.folder = folder
        self._flags = flags
        self.port = port or free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "chain.log").open("ab")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tfchain.devchain.cli",
                "--state",
                str(self.folder / "chain.db"),
                "--port",
                str(self.port),
                "--control",
                *self._flags,
            ],
            stdout=log,
            stderr=log,
        )
        log.close()
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.rpc("system_health")
                return
            except (OSError, urllib.error.URLError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "chain.log").read_text()) from None
                time.sleep(0.05)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            self._process.wait(20)

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        assert "error" not in answer, answer
        return answer["result"]

    def beside(self, port: int) -> Endpoint:
        """Another endpoint that the process was told to open."""
        return Endpoint(port)

    def post(self, body: Any, path: str = "/") -> Any:
        return _post(self.port, body, path)


class Endpoint:
    """A further port of the process; called like a function: method and parameters."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"

    def __call__(self, method: str, *params: Any) -> Any:
        answer = _post(self.port, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}, "/")
        assert "error" not in answer, answer
        return answer["result"]


def _post(port: int, body: Any, path: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
