"""Sockets in another network namespace.

A socket keeps the namespace in which it was made, so it is made by a thread that enters the namespace and ends; the
event loop uses it like any other.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Final, Generic, TypeVar

CLONE_NEWNET: Final = 0x40000000
NAMESPACES: Final = Path("/run/netns")
OVERLAY: Final = IPv6Network("200::/7")
_NODES: Final = IPv6Network("200::/8")
"""Half of the overlay: addresses of daemons.  The other half, 300::/8, are the subnets behind them."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")


@dataclass
class _Box(Generic[Result]):
    result: Result | None = None
    error: BaseException | None = None


def inside(namespace: str | None, act: Callable[[], Result]) -> Result:
    """Run `act` in the namespace `/run/netns/<namespace>` (None: in our own) and return what it returns.

    Raises OSError when there is no such namespace or we may not enter it, and whatever `act` raises.
    """
    if namespace is None:
        return act()
    box: _Box[Result] = _Box()

    def run() -> None:
        try:
            _enter(namespace)
            box.result = act()
        except BaseException as error:
            box.error = error

    thread = threading.Thread(target=run, name=f"netns {namespace}")
    thread.start()
    thread.join()
    if box.error is not None:
        raise box.error
    return box.result  # type: ignore[return-value]  # None only when `act` returned None


def _enter(namespace: str) -> None:
    descriptor = os.open(NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(NAMESPACES / namespace))
    finally:
        os.close(descriptor)


def identity_of(namespace: str | None) -> tuple[int, int]:
    """Changes when the namespace is made anew.  Raises OSError."""
    path = Path("/proc/self/ns/net") if namespace is None else NAMESPACES / namespace
    status = path.stat()
    return status.st_dev, status.st_ino


def overlay_addresses(namespace: str | None) -> list[IPv6Address]:
    """Addresses of Yggdrasil daemons (200::/8) in the namespace.  Raises OSError."""
    # /proc/net is the view of the main thread; only thread-self shows the namespace just entered.
    text = inside(namespace, lambda: Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii"))
    found = [IPv6Address(bytes.fromhex(line.split()[0])) for line in text.splitlines() if line]
    return [address for address in found if address in _NODES]


def listening_socket(namespace: str | None, host: str, port: int) -> socket.socket:
    """A bound and listening TCP socket.  Raises OSError."""

    def make() -> socket.socket:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setblocking(False)
            listener.bind(where)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
        return listener

    return inside(namespace, make)


def connecting_socket(namespace: str | None, family: int, kind: int, protocol: int) -> socket.socket:
    """A fresh socket for an outgoing connection.  Raises OSError."""
    return inside(namespace, lambda: socket.socket(family, kind, protocol))
