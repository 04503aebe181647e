"""One supervised process of the grid: started, watched, started again with a growing pause, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESTART_FIRST_S = 0.2
RESTART_MAX_S = 10.0
STEADY_S = 20.0
"""A process that lived this long starts again at once when it ends."""
STOP_GRACE_S = 10.0
PROBE_EVERY_S = 0.1
TAIL_LINES = 15
TAIL_BYTES = 8192


class PartFailed(Exception):
    """A part did not become ready; the message holds the end of its log and where the rest is."""


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What to run, where it prints to, and how to know that it is ready."""

    name: str
    command: Callable[[], Sequence[str]]
    """Asked at every start: where a part runs may only be known then."""
    log: Path
    ready: Callable[[], Awaitable[bool]]
    """Asked again and again until it answers true; an OSError counts as "not yet"."""
    ready_timeout: float = 60.0
    """Seconds."""
    env: Mapping[str, str] = field(default_factory=dict)


class Part:
    """A process that is kept running until it is stopped."""

    def __init__(self, spec: PartSpec) -> None:
        self.spec = spec
        self.state = "waiting"
        self.restarts = 0
        self.last_exit: int | None = None
        self.process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.returncode is None else None

    def describe(self) -> dict[str, Any]:
        """For `zos grid status`."""
        return {
            "name": self.spec.name,
            "state": self.state,
            "pid": self.pid,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "log": str(self.spec.log),
        }

    async def start(self) -> None:
        """Start and wait until ready.  Raises PartFailed."""
        self.state = "starting"
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")
        deadline = time.monotonic() + self.spec.ready_timeout
        while not await self._is_ready():
            if time.monotonic() > deadline:
                self.state = "failed"
                raise PartFailed(
                    f"{self.spec.name} was not ready after {self.spec.ready_timeout:.0f} s\n{self.log_tail()}"
                )
            await asyncio.sleep(PROBE_EVERY_S)
        self.state = "running"

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after a grace period; safe to repeat."""
        self._stopping = True
        self.state = "stopped"
        process = self.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_GRACE_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def send(self, number: int) -> None:
        """Send a signal to the process.  Raises ProcessLookupError when it does not run."""
        if self.pid is None:
            raise ProcessLookupError(f"{self.spec.name} does not run")
        os.kill(self.pid, number)

    def log_tail(self) -> str:
        """The last lines of the log, and where it is."""
        try:
            with self.spec.log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        except OSError:
            lines = []
        body = "\n".join(f"  {line}" for line in lines) or "  (it printed nothing)"
        return f"{body}\n  whole log: {self.spec.log}"

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(5.0):
                return await self.spec.ready()
        except (TimeoutError, OSError):
            return False

    async def _spawn(self) -> None:
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.spec.command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.spec.env},
                start_new_session=True,
            )

    async def _keep(self) -> None:
        pause = RESTART_FIRST_S
        while not self._stopping:
            assert self.process is not None
            started = time.monotonic()
            self.last_exit = await self.process.wait()
            if self._stopping:
                return
            pause = (
                RESTART_FIRST_S if time.monotonic() - started > STEADY_S else min(pause * 2, RESTART_MAX_S)
            )
            self.restarts += 1
            if self.state == "running":
                self.state = "restarting"
            await asyncio.sleep(pause)
            await self._spawn()
            if self.state == "restarting":
                self.state = "running"


async def accepts(host: str, port: int) -> bool:
    """Whether somebody listens on a TCP port."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True


async def accepts_unix(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.close()
    return True


async def at_once() -> bool:
    """For parts that have no readiness of their own."""
    return True


SIGNALS = {name: int(getattr(signal, f"SIG{name}")) for name in ("KILL", "TERM", "STOP", "CONT", "INT")}
