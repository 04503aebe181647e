"""Programs that the tests look at the machine with."""

from __future__ import annotations

import subprocess
from pathlib import Path

_TIMEOUT = 60


def run(*argv: str | Path) -> str:
    """Standard output; the program has to succeed."""
    return attempt(*argv, check=True).stdout


def attempt(*argv: str | Path, check: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        check=check,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_TIMEOUT,
    )


def start(*argv: str | Path, keep: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """A program in the background, with pipes and the descriptors `keep`; the caller ends it."""
    return subprocess.Popen(
        [str(word) for word in argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=keep,
    )
