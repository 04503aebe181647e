"""Memory that a process holds in reserve, given back to the machine."""

from __future__ import annotations

import ctypes
import gc


def release() -> None:
    """Let go of what nothing uses any more; takes some ten milliseconds."""
    gc.collect()
    # The GNU C library has it, and keeps free pages between objects in use until it is called.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
