"""Enter the network namespace that a profile names, before the first socket is opened."""

from __future__ import annotations

import ctypes
import os

from client.errors import ProfileError

_CLONE_NEWNET = 0x40000000


def enter(path: str) -> None:
    """Move this process (while it has one thread) into the network namespace at `path`; "" does nothing.

    Raises ProfileError.
    """
    if not path:
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ProfileError(f"network namespace {path} is gone: is the grid up? `zos grid status`") from None
    except PermissionError:
        raise ProfileError("the grid's client lives in a network namespace: run `zos` as root") from None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            reason = os.strerror(ctypes.get_errno())
            raise ProfileError(f"cannot enter network namespace {path}: {reason}; run `zos` as root")
    finally:
        os.close(descriptor)
