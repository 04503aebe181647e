"""PID 1 of a grid: make the network, start every part in order, keep them running, answer on the control socket.

Started by `devgrid.launcher` in new PID, network, mount, UTS, IPC and cgroup namespaces, so that its end is the end
of everything below it.  A grid without root (`--null`) runs the same parts on loopback, in ordinary processes that
die with this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from devgrid import configs, layout
from devgrid.control import ControlServer
from devgrid.expose import LOOPBACK, Forwarder, from_argument
from devgrid.front import certificates, names
from devgrid.layout import GridLayout
from devgrid.part import SIGNALS, Part
from devgrid.plan import Plan
from devgrid.startup import Progress, StartFailed, run_steps

REAP_EVERY_S = 1.0
EXEC_S = 60.0
LONGEST_EXEC_S = 600.0


class Supervisor:
    """Runs a plan's steps, then waits for the order to stop."""

    def __init__(
        self, grid: GridLayout, report: Callable[[dict[str, Any]], None], exposed: Mapping[int, socket.socket]
    ) -> None:
        self.grid = grid
        self._forwarder = Forwarder(exposed, str(layout.LAN_GATEWAY.ip))
        self.plan = Plan(grid)
        self._report = report
        self._steps: dict[str, Progress] = {}
        self._stop = asyncio.Event()
        self._control = ControlServer(self._answer)

    async def run(self) -> int:
        """Until stopped.  The exit status: 0 after an order to stop, 1 when the start failed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        reaper = asyncio.create_task(self._reap())
        try:
            await self._control.start(self.grid.control)
            await self._start()
            await self._forwarder.start()
            self._report({"up": True})
            await self._stop.wait()
            return 0
        except StartFailed as problem:
            self._report({"error": str(problem)})
            print(f"start failed: {problem}", file=sys.stderr)
            return 1
        finally:
            await self._control.close()
            await self._forwarder.close()
            await self.plan.stop()
            reaper.cancel()

    async def _start(self) -> None:
        start = asyncio.create_task(run_steps(self.plan.steps(), self._note))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            raise StartFailed("grid", "stopped before it was up")
        await start

    def _note(self, progress: Progress) -> None:
        self._steps[progress.step] = progress
        self._report(asdict(progress))
        print(f"{progress.step}: {progress.state} {progress.detail}".rstrip(), file=sys.stderr, flush=True)

    async def _answer(self, request: dict[str, Any]) -> Any:
        match request.get("do"):
            case "status":
                return {
                    "name": self.grid.name,
                    "null": self.grid.null,
                    "nodes": self.plan.describe_nodes(),
                    "twins": self.plan.farm.twins,
                    "chain": self.grid.chain_url,
                    "relay": None if self.grid.null else f"ws://{layout.RELAY_HOST}",
                    "front": None if self.grid.null else self._front(),
                    "parts": [part.describe() for part in self.plan.parts.values()],
                    "steps": [asdict(step) for step in self._steps.values()],
                }
            case "stop":
                self._stop.set()
                return "stopping"
            case "signal":
                self._part(str(request.get("part"))).send(_signal_number(str(request.get("signal"))))
                return "sent"
            case "exec":
                words = [str(word) for word in request["command"]]
                limit = min(float(request.get("limit", EXEC_S)), LONGEST_EXEC_S)
                return await self._exec(str(request.get("node")), words, limit)
        raise ValueError(f"unknown request {request.get('do')!r}: use status, stop, signal or exec")

    def _front(self) -> dict[str, Any]:
        """How clients of others reach the grid."""
        return {
            **names.urls(),
            "ca": str(certificates.Certificates(self.grid.front).authority),
            "exposed": self._forwarder.ports,
            "hosts": names.hosts_line(LOOPBACK) if self._forwarder.ports else None,
        }

    def _part(self, name: str) -> Part:
        try:
            return self.plan.parts[name]
        except KeyError:
            raise LookupError(f"no part {name!r}; there are {', '.join(sorted(self.plan.parts))}") from None

    async def _exec(self, place: str, command: list[str], limit: float) -> dict[str, Any]:
        """Run a command in a node, the client, the internet or (`grid`) here; for tests and the demo."""
        process = await asyncio.create_subprocess_exec(
            *self.plan.place(place).command(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(limit):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ValueError(f"{command[0]} took more than {limit:g} s") from None
        return {"status": process.returncode, "output": output.decode(errors="replace")}

    async def _reap(self) -> None:
        """As PID 1, collect the orphans: helper processes whose parent has ended.

        Our own children are awaited by asyncio, within moments; so what is still a zombie at the next look is
        an orphan.
        """
        seen: set[int] = set()
        while os.getpid() == 1:
            zombies = {
                process.pid
                for process in psutil.process_iter(["ppid", "status"])
                if process.info["ppid"] == 1 and process.info["status"] == psutil.STATUS_ZOMBIE
            }
            for pid in zombies & seen:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            seen = zombies
            await asyncio.sleep(REAP_EVERY_S)


def _signal_number(name: str) -> int:
    if name not in SIGNALS:
        raise ValueError(f"unknown signal {name!r}: use {', '.join(SIGNALS)}")
    return SIGNALS[name]


def _own_run_folder() -> None:
    """A `/run` of our own: nothing in it outlives this mount namespace."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=64m", "run", "/run"], check=True, timeout=10)
    for folder in ("netns", "wireguard", "lock", "grid"):
        Path("/run", folder).mkdir()
    hosts = Path("/etc/hosts")
    ours = Path("/run/grid/hosts")
    ours.write_text(configs.hosts(hosts.read_text() if hosts.exists() else ""))
    if hosts.exists():
        subprocess.run(["mount", "--bind", str(ours), str(hosts)], check=True, timeout=10)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--qemu", type=int, default=0)
    parser.add_argument("--progress", type=int, required=True)
    parser.add_argument("--null", action="store_true")
    parser.add_argument("--expose", default="", help="port:descriptor, comma-separated")
    options = parser.parse_args()
    grid = GridLayout(options.state, options.name, options.nodes, options.null, options.qemu)
    os.set_inheritable(options.progress, False)
    stream = os.fdopen(options.progress, "w", buffering=1)

    def report(event: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):  # nobody listens any more
            stream.write(json.dumps(event) + "\n")
            if event.get("up") or "error" in event:
                stream.close()

    if not grid.null:
        _own_run_folder()
    exposed = from_argument(options.expose)
    for listener in exposed.values():
        os.set_inheritable(listener.fileno(), False)
    return asyncio.run(Supervisor(grid, report, exposed).run())


if __name__ == "__main__":
    sys.exit(main())
