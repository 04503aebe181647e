"""What a program says, kept in memory and bounded: a pipe without a reader's worries."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Self

_SIZE = 65536


class Notepad:
    """Give `descriptor` to a program as its output; whatever it writes past 64 KiB fails there, not here."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("notepad", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, _SIZE)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)

    def text(self) -> str:
        """What was written so far."""
        return os.pread(self.descriptor, _SIZE, 0).partition(b"\0")[0].decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)
