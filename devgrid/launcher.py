"""Bring a grid up and down from the host: the supervisor in new namespaces, the janitor beside it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devgrid import control, expose, preflight
from devgrid.janitor import remove_cgroups
from devgrid.layout import GridLayout
from devgrid.processes import ProcessMark, only_child
from devgrid.startup import Progress

STOP_TIMEOUT_S = 60.0
UNSHARE = (
    "unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--uts", "--ipc", "--cgroup",
    "--propagation", "private", "--mount-proc", "--",
)  # fmt: skip


class GridError(Exception):
    """The grid cannot be brought up or reached; the message says why and what to do."""


class Grid:
    """A grid as the host sees it."""

    def __init__(self, layout: GridLayout) -> None:
        self.layout = layout
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def known(cls, state: Path, name: str) -> Grid:
        """The grid `name` as it was brought up last.  Raises GridError when there is none."""
        file = state / name / "grid.json"
        try:
            kept = json.loads(file.read_text())
        except FileNotFoundError:
            raise GridError(f"no grid {name!r} in {state}: bring one up with `zos grid up`") from None
        return cls(GridLayout(state, name, int(kept["nodes"]), bool(kept["null"]), int(kept.get("qemu", 0))))

    @property
    def supervisor(self) -> ProcessMark | None:
        """The running supervisor, or None."""
        mark = ProcessMark.load(self.layout.pid_file)
        return mark if mark is not None and mark.alive else None

    @property
    def running(self) -> bool:
        return self.supervisor is not None

    def host_path(self, path: Path) -> Path:
        """A path of the supervisor's file system, as the host reaches it.  Raises GridError when it is down."""
        if self.layout.null:
            return path
        mark = self.supervisor
        if mark is None:
            raise GridError(f"grid {self.layout.name!r} is not up: `zos grid up`")
        return Path(f"/proc/{mark.pid}/root{path}")

    def call(self, request: dict[str, Any], *, timeout: float = control.CALL_TIMEOUT_S) -> Any:
        """Ask the supervisor.  Raises GridError."""
        try:
            return control.call(self.host_path(self.layout.control), request, timeout=timeout)
        except control.ControlError as problem:
            raise GridError(str(problem)) from problem

    def status(self) -> dict[str, Any]:
        """What the supervisor says of its parts, nodes and twins.  Raises GridError."""
        answer = self.call({"do": "status"})
        assert isinstance(answer, dict)
        return answer

    def signal(self, part: str, name: str) -> None:
        """Send signal `name` (without SIG) to a part, for example `node-1/zosd`.  Raises GridError."""
        self.call({"do": "signal", "part": part, "signal": name})

    def up(self, report: Callable[[Progress], None], *, detach: bool, expose_ports: bool = False) -> None:
        """Start the supervisor and wait until every part is ready.  Raises GridError; then nothing is left.

        `expose_ports` leads ports of the host's loopback into the grid, as long as it is up.
        """
        if self.running:
            raise GridError(f"grid {self.layout.name!r} is up already: `zos grid status`, `zos grid down`")
        missing = preflight.check(self.layout)
        if missing:
            raise GridError("this machine lacks:\n" + "\n".join(f"  {each}" for each in missing))
        if expose_ports and self.layout.null:
            raise GridError("a grid without root is on 127.0.0.1 already: do without --expose")
        try:
            exposed = expose.bind() if expose_ports else {}
        except expose.PortTaken as problem:
            raise GridError(str(problem)) from problem
        self._keep_size()
        os.makedirs(self.layout.logs, exist_ok=True)
        remove_cgroups(self.layout.cgroup)  # of a machine that lost its power
        reader, writer = os.pipe()
        try:
            self._launch(writer, exposed, detach=detach)
        finally:
            os.close(writer)
            for listener in exposed.values():
                listener.close()
        failure = "the supervisor ended before the grid was up"
        done = False
        with os.fdopen(reader, "rb") as stream:
            for line in stream:
                event = json.loads(line)
                if event.get("up"):
                    done = True
                    break
                if "error" in event:
                    failure = str(event["error"])
                else:
                    report(Progress(**event))
        if not done:
            self.down()
            raise GridError(f"{failure}\n  log: {self.layout.logs / 'supervisor.log'}")

    def wait(self) -> None:
        """Wait until the supervisor ends."""
        mark = self.supervisor
        if mark is not None:
            mark.wait()

    def down(self) -> None:
        """Stop everything, politely first; safe to repeat.  State stays (decision 48)."""
        mark = self.supervisor
        if mark is not None:
            try:
                self.call({"do": "stop"})
            except GridError:
                mark.kill()
            if not mark.wait(STOP_TIMEOUT_S):
                mark.kill()
                mark.wait(STOP_TIMEOUT_S)
        if self.process is not None:
            self.process.wait(STOP_TIMEOUT_S)
        remove_cgroups(self.layout.cgroup)
        self.layout.pid_file.unlink(missing_ok=True)

    def purge(self) -> None:
        """Stop, and remove disks, chain and keys."""
        self.down()
        shutil.rmtree(self.layout.folder, ignore_errors=True)

    def _keep_size(self) -> None:
        file = self.layout.folder / "grid.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(self.layout.folder, 0o700)
        file.write_text(
            json.dumps({"nodes": self.layout.nodes, "null": self.layout.null, "qemu": self.layout.qemu})
            + "\n"
        )

    def _launch(self, progress: int, exposed: Mapping[int, socket.socket], *, detach: bool) -> None:
        layout = self.layout
        arguments = [
            sys.executable, "-m", "devgrid.supervisor",
            "--state", str(layout.state), "--name", layout.name, "--nodes", str(layout.nodes),
            "--qemu", str(layout.qemu), "--progress", str(progress), *(["--null"] if layout.null else []),
            *(["--expose", expose.to_argument(exposed)] if exposed else []),
        ]  # fmt: skip
        # In the foreground the grid ends with this process, whatever ends it.
        bound = [] if detach else ["setpriv", "--pdeathsig", "KILL", "--"]
        isolated = [] if layout.null else list(UNSHARE)
        with (layout.logs / "supervisor.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*bound, *isolated, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[progress, *(listener.fileno() for listener in exposed.values())],
                start_new_session=True,
                env={**os.environ, "PATH": preflight.SYSTEM_PATH},
            )
        try:
            pid = self.process.pid if layout.null else only_child(self.process.pid)
            ProcessMark.of(pid).save(layout.pid_file)
        except (ProcessLookupError, TimeoutError) as problem:
            self.process.kill()
            raise GridError(f"the supervisor did not start: {problem}") from problem
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "devgrid.janitor",
                "--mark",
                str(layout.pid_file),
                "--cgroup",
                layout.cgroup,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
