"""Run a helper program to its end, with a time limit and the end of its output kept for messages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

DEFAULT_TIMEOUT = 60.0
_TAIL_LINES = 4
_TAIL_BYTES = 600
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class CommandFailed(Exception):
    """A helper program failed, could not be started or took too long; the message ends with its last lines."""

    def __init__(self, argv: Sequence[str], cause: str, output: str = "", status: int | None = None) -> None:
        self.program = argv[0]
        self.status = status
        """Exit status; None when the program did not end by itself."""
        message = f"{' '.join(argv)}: {cause}"
        tail = last_lines(output)
        super().__init__(f"{message}: {tail}" if tail else message)


def last_lines(output: str) -> str:
    """The end of a program's output on one line, short enough for a result (decision 52)."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL_LINES:])[-_TAIL_BYTES:]


async def run(*argv: str, timeout: float = DEFAULT_TIMEOUT, ok: Sequence[int] = (0,)) -> str:
    """Run a program and return its standard output.

    `timeout` in seconds.  `ok` lists the exit codes that are no failure.  The program is killed when the caller is
    cancelled or the time is over.  Raises CommandFailed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PATH": _PATH, "LC_ALL": "C.UTF-8"},
        )
    except OSError as error:
        raise CommandFailed(argv, f"cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate()
    except TimeoutError as error:
        raise CommandFailed(argv, f"not finished after {timeout:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = stdout.decode(errors="replace")
    if process.returncode not in ok:
        said = stderr.decode(errors="replace") or text
        raise CommandFailed(argv, f"exit status {process.returncode}", said, process.returncode)
    return text
