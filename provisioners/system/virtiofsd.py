"""virtiofsd, which offers one folder of the host to one machine.

This is the C program of Debian 12's QEMU; its successor has other options, so only this file knows them.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PROGRAM = "/usr/lib/qemu/virtiofsd"


class Sharing(Enum):
    """How far a guest may trust what it has cached."""

    EXCLUSIVE = "always"
    """Nobody else changes the folder while the machine runs; much faster."""
    SHARED = "auto"


@dataclass(frozen=True, slots=True)
class SharedFolder:
    folder: Path
    sharing: Sharing


def arguments(shared: SharedFolder, listener: int) -> list[str]:
    """The command that serves a folder to the one machine that connects to the socket `listener`.

    Never with `writeback`: on a volume with a quota the guest would learn only at close that the volume is full.
    Raises ValueError when the path cannot be written as an option.
    """
    if "," in str(shared.folder):
        raise ValueError(f"a shared folder may not have a comma in its path: {shared.folder}")
    options = ("source=" + str(shared.folder), "cache=" + shared.sharing.value, "xattr", "sandbox=namespace")
    return [
        PROGRAM,
        f"--fd={listener}",
        *(word for option in (*options, "announce_submounts") for word in ("-o", option)),
    ]


def listen(path: Path, user: int) -> socket.socket:
    """Make the socket at `path` that `user` alone may connect to.

    It accepts before virtiofsd runs, so QEMU need not wait for it.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(path))
        os.chmod(path, 0o600)
        os.chown(path, user, user)
        listener.listen(1)
    except BaseException:
        listener.close()
        raise
    return listener
