"""Load another kernel beside the running one, to be jumped into at the end of the shutdown."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

KEXEC_FILE_LOAD = 320
"""Number of the system call on x86-64."""


def load(kernel: Path, initrd: Path, line: str) -> None:
    """Hand both to the kernel, which copies them.  Raises OSError."""
    words = line.encode() + b"\0"
    with kernel.open("rb") as first, initrd.open("rb") as second:
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall(
            ctypes.c_long(KEXEC_FILE_LOAD),
            ctypes.c_int(first.fileno()),
            ctypes.c_int(second.fileno()),
            ctypes.c_ulong(len(words)),
            ctypes.c_char_p(words),
            ctypes.c_ulong(0),
        )
    if result != 0:
        number = ctypes.get_errno()
        reason = f"the kernel does not take the image: {os.strerror(number)}"
        if number == errno.ENOKEY:
            reason += "; with Secure Boot the firmware has to know the certificate of Debian's kernels, too"
        raise OSError(number, reason)
