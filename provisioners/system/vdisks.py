"""Virtual disks: preallocated files without copy-on-write in a pool's `vdisks` subvolume.

All bytes are taken when the disk is made, so a guest never meets "no space left" on its own disk.  A new file is
made under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import array
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from gridtypes import WorkloadId
from provisioners.system import btrfs
from provisioners.system.blocking import to_the_end
from provisioners.system.pool import Pool, written_id

_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_NOCOW_FL = 0x00800000
_F_OFD_GETLK = 36
_FLOCK = struct.Struct("=hh4xqqi4x")
_QEMU_LOCKS = (100, 200)
"""QEMU locks single bytes from 100 (what it does) and from 200 (what it forbids) on every image that it has open."""
_NEW = ".new-"


def path_of(pool: Pool, name: str) -> Path:
    """Where the disk of this name lies.  Raises ValueError when the name would lead out of the folder."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"invalid disk id: {name!r}")
    return pool.vdisks / name


def owners(pool: Pool) -> Iterator[WorkloadId]:
    """Workloads that have a disk here, half-made ones too; files of anybody else are not looked at."""
    try:
        entries = os.listdir(pool.vdisks)
    except FileNotFoundError:
        return
    for entry in entries:
        workload = written_id(entry.removeprefix(_NEW))
        if workload is not None:
            yield workload


async def create(pool: Pool, name: str, size: int) -> Path:
    """Make a disk of `size` bytes; replaces one that was left half made.  Raises OSError, CommandFailed."""
    path = path_of(pool, name)
    if not pool.vdisks.is_dir():
        await btrfs.create_subvolume(pool.vdisks)
    pool.vdisks.chmod(0o711)
    await to_the_end(lambda: _create(path, size))
    return path


async def grow(path: Path, size: int) -> None:
    """Ensure that a disk has `size` bytes, all of them taken; never makes it smaller.  Raises OSError."""
    await to_the_end(lambda: _grow(path, size))


async def delete(pool: Pool, name: str) -> None:
    """Safe to repeat."""
    path = path_of(pool, name)
    await to_the_end(lambda: _delete(path))


def in_use(path: Path) -> bool:
    """Whether a QEMU has the disk open: asks the kernel for the locks that QEMU holds on its images."""
    first, second = _QEMU_LOCKS
    with path.open("rb") as file:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, first, 2 * (second - first), 0)
        answer = fcntl.fcntl(file.fileno(), _F_OFD_GETLK, question)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def fully_taken(path: Path) -> bool:
    """Whether every byte of the disk is allocated."""
    status = path.stat()
    return status.st_blocks * 512 >= status.st_size


def _create(path: Path, size: int) -> None:
    fresh = path.with_name(f"{_NEW}{path.name}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _disable_copy_on_write(descriptor)
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    except BaseException:
        fresh.unlink()
        raise
    finally:
        os.close(descriptor)
    fresh.rename(path)
    _sync_folder(path.parent)


def _disable_copy_on_write(descriptor: int) -> None:
    """Only possible while the file is empty."""
    flags = array.array("l", [0])
    fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, flags, True)
    flags[0] |= _FS_NOCOW_FL
    fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, flags, True)


def _grow(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor).st_size
        try:
            os.posix_fallocate(descriptor, 0, max(size, before))
        except OSError:
            os.ftruncate(descriptor, before)
            raise
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    for victim in (path, path.with_name(f"{_NEW}{path.name}")):
        victim.unlink(missing_ok=True)
    if path.parent.is_dir():
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
