"""Named network namespaces: make, enter, delete.

A namespace is a bind mount of an nsfs file on `/run/netns/<name>`.  It is entered only by a thread made for the
purpose, which then ends: a thread that came back from a pool would stay inside.  Sockets keep the namespace in which
they were made, and so do child processes, so nothing else is needed.  Nothing of a namespace is cached: an open
descriptor or socket keeps a deleted namespace alive.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

FOLDER = Path("/run/netns")
"""Where `ip netns` keeps them, too."""

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_MS_BIND = 0x1000
_MNT_DETACH = 2
_ENTER_LIMIT = 60.0
"""Seconds that work inside a namespace may take; it is netlink or one socket call."""

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceMissing(OSError):
    """The named namespace does not exist."""


def path(name: str) -> Path:
    return FOLDER / name


def exists(name: str) -> bool:
    """True when the file is really a network namespace.

    A crash between making the file and mounting on it leaves a plain file, which `ip netns list` shows all the same.
    """
    try:
        descriptor = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
    finally:
        os.close(descriptor)


def names(prefix: str = "") -> list[str]:
    """Existing namespaces whose name starts with `prefix`, sorted."""
    if not FOLDER.is_dir():
        return []
    return sorted(
        entry.name for entry in FOLDER.iterdir() if entry.name.startswith(prefix) and exists(entry.name)
    )


def inode(name: str | None) -> int:
    """The number that identifies a namespace; `None` is the one of this process.

    Raises NamespaceMissing.
    """
    target = path(name) if name else Path("/proc/self/ns/net")
    try:
        return target.stat().st_ino
    except FileNotFoundError as error:
        raise NamespaceMissing(errno.ENOENT, f"there is no network namespace {name!r}") from error


def ensure(name: str) -> bool:
    """Make the namespace if it is missing.  Returns True when it was made now."""
    if exists(name):
        return False
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o755)
    target = path(name)
    target.unlink(missing_ok=True)  # plain file of a crash
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        source = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
        _check(_libc.mount(source.encode(), os.fsencode(target), b"none", _MS_BIND, None), f"mount {target}")

    _in_thread(make)
    return True


def delete(name: str) -> None:
    """Take the namespace's name away; its links go with it unless something still holds it.  Safe to repeat."""
    target = path(name)
    while _libc.umount2(os.fsencode(target), _MNT_DETACH) == 0:
        pass  # may be mounted more than once; unlink would then give EBUSY
    target.unlink(missing_ok=True)


def run_in(name: str | None, work: Callable[[], T]) -> T:
    """Run `work` in a fresh thread inside the namespace and return what it returns.

    `None` is the namespace of this process.  Blocks: from a coroutine call it through `asyncio.to_thread`.
    Raises NamespaceMissing, and whatever `work` raises.
    """
    if name is None:
        return work()

    def enter_and_work() -> T:
        try:
            descriptor = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NamespaceMissing(errno.ENOENT, f"there is no network namespace {name!r}") from error
        try:
            _check(_libc.setns(descriptor, _CLONE_NEWNET), f"enter namespace {name}")
        finally:
            os.close(descriptor)
        return work()

    return _in_thread(enter_and_work)


def run_in_scratch(work: Callable[[], T]) -> T:
    """Run `work` in a nameless namespace that is gone afterwards; for probes."""

    def leave_and_work() -> T:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        return work()

    return _in_thread(leave_and_work)


def set_sysctl(name: str | None, values: dict[str, str]) -> None:
    """Write `net.*` settings inside the namespace; a key is the path below `/proc/sys/net`.

    Only values that differ are written.
    """

    def write() -> None:
        for key, value in values.items():
            file = Path("/proc/sys/net") / key
            if file.read_text().strip() != value:
                file.write_text(value)

    run_in(name, write)


def has_sysctl(name: str | None, key: str) -> bool:
    return run_in(name, lambda: (Path("/proc/sys/net") / key).exists())


def _in_thread(work: Callable[[], T]) -> T:
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # carried to the caller's thread and raised there
            failures.append(error)

    thread = threading.Thread(target=body, name="netns", daemon=True)
    thread.start()
    thread.join(_ENTER_LIMIT)
    if thread.is_alive():
        raise TimeoutError(f"work inside a network namespace took more than {_ENTER_LIMIT:.0f} s")
    if failures:
        raise failures[0]
    return results[0]


def _check(status: int, what: str) -> None:
    if status != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
