"""Open an existing tap, to hand it to a program that may not open it itself."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from provisioners.system import netns

_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000


class TapMissing(OSError):
    """There is no such tap; opening it would have made a new one that is a port of no bridge."""


def open_tap(name: str, namespace: str | None) -> int:
    """Return a descriptor of the tap `name` in a network namespace (None: this process's own).

    The caller closes it.  Blocks for a thread's start.  Raises TapMissing, or OSError (EBUSY: another process has it).
    """
    return netns.run_in(namespace, lambda: _attach(name))


def _attach(name: str) -> int:
    try:
        socket.if_nametoindex(name)
    except OSError as error:
        raise TapMissing(error.errno, f"there is no tap {name!r}") from error
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
