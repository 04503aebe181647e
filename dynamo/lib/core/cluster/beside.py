"""Programs of ours that run beside a server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO


def start(module: str, log: Path | None) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Run a module in a process and session of its own; the process, and what it reads.

    Its standard error is appended to `log`, without one it is ours.  Raises OSError.
    """
    target = None if log is None else log.open("ab")
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stderr=target, start_new_session=True
        )
    finally:
        if target is not None:
            target.close()
    assert process.stdin is not None, "a pipe was asked for"
    return process, process.stdin
