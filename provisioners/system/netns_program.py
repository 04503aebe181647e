"""Programs inside a network namespace: run one to its end, start one that outlives us, find it again.

These calls block; a coroutine goes through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from provisioners.system import netns
from provisioners.system.command import CommandFailed, last_lines

_RUN_LIMIT = 20.0
"""Seconds for a program that configures something."""
_END_LIMIT = 5.0
"""Seconds that a program has to end by itself before it is killed."""
_LOG_LIMIT = 4 << 20
"""Bytes after which a program's log is started anew at its next start."""


def run(
    argv: Sequence[str], *, namespace: str | None = None, input: str = "", timeout: float = _RUN_LIMIT
) -> str:
    """Run a program in a namespace and return its standard output.

    Secrets go through `input`, never through `argv`, which every process can read.  Raises CommandFailed.
    """
    try:
        done = netns.run_in(
            namespace,
            lambda: subprocess.run(
                argv, input=input, text=True, capture_output=True, timeout=timeout, check=False
            ),
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(argv, f"not finished after {timeout:g} s") from error
    except FileNotFoundError as error:
        raise _missing(argv) from error
    if done.returncode != 0:
        raise CommandFailed(argv, f"exit status {done.returncode}", done.stderr or done.stdout)
    return done.stdout


def start(
    argv: Sequence[str], *, namespace: str | None, log: Path, environment: dict[str, str] | None = None
) -> None:
    """Start a program that outlives this process: own session, own parent, output in `log` (0600).

    Raises CommandFailed when it is not installed; whether it works, the caller sees by what it makes.
    """
    if shutil.which(argv[0]) is None:
        raise _missing(argv)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    grown = log.exists() and log.stat().st_size > _LOG_LIMIT
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if grown else os.O_APPEND)
    descriptor = os.open(log, flags, 0o600)
    try:
        netns.run_in(
            namespace,
            lambda: subprocess.run(
                ["setsid", "--fork", *argv],  # its parent becomes init, so nobody here has to reap it
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                env={**os.environ, **(environment or {})},
                timeout=_RUN_LIMIT,
                check=True,
            ),
        )
    finally:
        os.close(descriptor)


def tail(log: Path) -> str:
    """The last lines of a program's log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            return last_lines(file.read().decode(errors="replace"))
    except FileNotFoundError:
        return ""


def find(program: str, argument: str, *, namespace: str | None) -> int | None:
    """Pid of the running `program` that has `argument` on its command line and lives in the namespace."""
    home = netns.inode(namespace)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may end while we look
            words = (entry / "cmdline").read_bytes().split(b"\0")
            named = os.path.basename(words[0]) == program.encode() or program.encode() in words[:2]
            if named and argument.encode() in words and (entry / "ns/net").stat().st_ino == home:
                return int(entry.name)
    return None


def processes_in(inode: int) -> list[int]:
    """Pids of the processes whose main thread lives in the network namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "ns/net").stat().st_ino == inode:
                    found.append(int(entry.name))
    return found


def end(pid: int, *, gently: bool = True) -> None:
    """End a process: ask, wait up to 5 s, then kill; or kill at once.  Safe when it is gone.

    The pidfd makes sure that the process that is signalled is the one that was found.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL) if gently else (signal.SIGKILL,):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if _ended(descriptor, _END_LIMIT):
                return
    finally:
        os.close(descriptor)


def wait_until(ready: Path, log: Path, *, program: Sequence[str], timeout: float) -> None:
    """Wait for a file that a started program makes.  Raises CommandFailed with the end of its log."""
    deadline = time.monotonic() + timeout
    while not ready.exists():
        if time.monotonic() > deadline:
            raise CommandFailed(program, f"{ready} did not appear within {timeout:g} s", tail(log))
        time.sleep(0.005)


def _ended(descriptor: int, timeout: float) -> bool:
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def _missing(argv: Sequence[str]) -> CommandFailed:
    return CommandFailed(argv, "is not installed")
