"""Start processes that outlive the daemon, and find them again.

Before such a program runs, its launcher writes a *mark*: its own line of `/proc/<pid>/stat`.  Pid and start time
survive `exec`, so the mark names the program from its first instruction, and a crash of the daemon at any moment
leaves nothing that cannot be found.  A process is never looked for by its name.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KILL_LIMIT_S = 10.0
"""How long a killed process may take to disappear; more means that the kernel is stuck in its I/O."""

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one with the same number by its start time."""

    pid: int
    start_time: int
    """Clock ticks since the machine was booted (field 22 of `/proc/<pid>/stat`)."""

    def alive(self) -> bool:
        """False also for a zombie: it has ended, only nobody has asked yet."""
        try:
            line = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return parse_stat(line) == self and _state(line) not in "ZX"

    def age(self) -> float:
        """Seconds since it was started."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime - self.start_time / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to exactly this process; does nothing when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False when `timeout` seconds pass first.  Works not only for children."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        try:
            if not self.alive():
                return True
            loop.add_reader(descriptor, lambda: None if ended.done() else ended.set_result(None))
            try:
                async with asyncio.timeout(timeout):
                    await ended
            except TimeoutError:
                return False
            finally:
                loop.remove_reader(descriptor)
            return True
        finally:
            os.close(descriptor)


def parse_stat(line: str) -> ProcessId:
    """Read pid and start time from a line of `/proc/<pid>/stat`.

    The program name in it is in brackets and may hold blanks and brackets itself.  Raises ValueError.
    """
    pid = line.split(" ", 1)[0]
    rest = line[line.rindex(")") + 2 :].split()
    return ProcessId(int(pid), int(rest[19]))


def _state(line: str) -> str:
    return line[line.rindex(")") + 2]


def read_mark(mark: Path) -> ProcessId | None:
    """The process that a launcher marked, or None when there is no complete mark."""
    try:
        return parse_stat(mark.read_text())
    except (FileNotFoundError, ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one program that outlives the daemon."""

    command: Sequence[str]
    mark: Path
    """Where the launcher records who it is."""
    groups: Sequence[Path] = ()
    """`cgroup.procs` files that it joins before it becomes the program."""
    folder: Path = Path("/")
    """Working directory."""
    user: int | None = None
    """Numeric user and group id to run as, without any capability; None keeps the daemon's."""
    oom_score: int = 0
    """Best effort: a negative value needs a capability that a daemon in a container may lack."""
    descriptors: Sequence[int] = ()
    """Passed on under the same numbers."""
    environment: Mapping[str, str] = field(default_factory=dict)


def launcher_script(launch: Launch) -> str:
    """The shell script that marks, joins, and becomes the program.

    Kept to shell built-ins before `exec`, so that it is the shell itself that joins the groups.
    """
    mark = shlex.quote(str(launch.mark))
    lines = ["set -e", "ulimit -c 0", f"read -r stat </proc/$$/stat; printf '%s\\n' \"$stat\" >{mark}"]
    lines += [f"echo 0 >{shlex.quote(str(group))}" for group in launch.groups]
    if launch.oom_score:
        lines.append(f"(echo {launch.oom_score} >/proc/$$/oom_score_adj) 2>/dev/null || :")
    lines.append(f"cd {shlex.quote(str(launch.folder))}")
    lines.append(f"exec {shlex.join([*privileges(launch.user), *launch.command])}")
    return "\n".join(lines) + "\n"


def privileges(user: int | None) -> list[str]:
    """The prefix that gives every privilege away for good before the program starts."""
    if user is None:
        return []
    return [
        "setpriv",
        f"--reuid={user}",
        f"--regid={user}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]


def start(launch: Launch, *, output: int) -> subprocess.Popen[bytes]:
    """Start the program in its own session, with stdout and stderr to the descriptor `output`.

    Returns the child, which has to be polled once it has ended.  It is not killed when the object is dropped.
    """
    launch.mark.unlink(missing_ok=True)
    return subprocess.Popen(
        ["/bin/sh", "-c", launcher_script(launch)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=launch.descriptors,
        start_new_session=True,
        env={**_ENVIRONMENT, **launch.environment},
    )


async def end(process: ProcessId, grace: float) -> None:
    """Ask a process to end, and kill it when it has not after `grace` seconds."""
    if grace > 0:
        process.signal(signal.SIGTERM)
        if await process.wait(grace):
            return
    process.signal(signal.SIGKILL)
    await process.wait(KILL_LIMIT_S)
