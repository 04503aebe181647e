"""The program that unpacks an archive: `unpacker.py <folder> <limits as JSON>`, tar on standard input.

It answers one JSON object on standard output: `{"entries", "bytes", "skipped"}` or `{"refused": reason}` or
`{"failed": reason}`.  Everything after `cage.enter` sees the folder as its root directory, so no name and no link
can lead anywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import sys
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Self

from provisioners.images import cage
from provisioners.images.archive_rules import (
    ArchiveRefused,
    Limits,
    attributes,
    link_text,
    mtime,
    owner,
    parts_of,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 20
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID


class CountedInput(io.RawIOBase):
    """A stream with an end: a small archive may not unpack to more than the limit."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self._source = source
        self._limit = limit
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        data = self._source.read(memoryview(buffer).nbytes)
        memoryview(buffer)[: len(data)] = data
        self.taken += len(data)
        if self.taken > self._limit:
            raise ArchiveRefused(f"it unpacks to more than {self._limit} bytes")
        return len(data)


class StrictHeader(tarfile.TarInfo):
    """Python's reader takes any broken header for the end of the archive; this one insists on the end mark."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"cut off or damaged: {error}") from error


@dataclass(slots=True)
class Unpacking:
    """One archive on its way into the root directory of this process."""

    limits: Limits
    entries: int = 0
    skipped: int = 0
    content: int = 0
    """Bytes of all files; more than the stream has when files are sparse."""
    folders: dict[str, tarfile.TarInfo] = field(default_factory=dict)
    """Folders get their modes and times last, or nothing could be put into them."""

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise ArchiveRefused(f"it has more than {self.limits.entries} entries")
        self.content += member.size
        if member.size < 0 or self.content > self.limits.bytes:
            raise ArchiveRefused(f"it unpacks to more than {self.limits.bytes} bytes")
        path = "/" + "/".join(parts_of(member.name))
        owner(member.name, member.uid, member.gid)
        if member.isdir():
            self._make_folder(path)
            self.folders[path] = member
            return
        if path == "/":
            raise ArchiveRefused("the root of the image is not a folder")
        if member.ischr() or member.isblk():
            self.skipped += 1
            return
        self._make_room(path)
        if member.issym():
            os.symlink(link_text(member.name, member.linkname), path)
        elif member.islnk():
            self._link(path, member)
            return
        elif member.isfifo():
            os.mkfifo(path, 0o600)
        elif member.isfile():
            self._write(archive, member, path)
        else:
            self.skipped += 1
            return
        _dress(path, member)

    def finish(self) -> None:
        """Dress the folders, the deepest first."""
        for path in sorted(self.folders, key=len, reverse=True):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # a link on its way was replaced
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    _dress(path, self.folders[path])

    def _make_room(self, path: str) -> None:
        _make_parents(path)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise ArchiveRefused(f"entry {path!a} is a folder and a file")
        os.unlink(path)

    def _make_folder(self, path: str) -> None:
        _make_parents(path)
        if os.path.isdir(path):  # a link to a folder counts as the folder
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.mkdir(path, 0o700)

    def _link(self, path: str, member: tarfile.TarInfo) -> None:
        target = "/" + "/".join(parts_of(member.linkname))
        try:
            os.link(target, path, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EPERM, errno.ENOTDIR):
                raise ArchiveRefused(
                    f"hard link {path!a} to {target!a}, which is not in the image"
                ) from error
            raise

    @staticmethod
    def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise ArchiveRefused(f"entry {path!a} has no content")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)


def _make_parents(path: str) -> None:
    """Folders that the archive does not name itself belong to root."""
    missing = []
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for folder in reversed(missing):
        os.mkdir(folder, 0o755)
        os.chown(folder, 0, 0)


def _dress(path: str, member: tarfile.TarInfo) -> None:
    """Owner first, as it clears the setuid bit and the capabilities; then attributes, mode and time."""
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        for name, value in attributes(member.pax_headers).items():
            os.setxattr(path, name, value, follow_symlinks=False)
        mode = member.mode & 0o7777
        os.chmod(path, mode if member.isfile() or member.isdir() else mode & ~_SPECIAL_BITS)
    time = mtime(float(member.mtime))
    os.utime(path, (time, time), follow_symlinks=False)


def unpack(source: BinaryIO, limits: Limits) -> dict[str, int]:
    """Unpack a tar stream into the root directory.  Raises ArchiveRefused, OSError."""
    counted = CountedInput(source, limits.bytes)
    stream = io.BufferedReader(counted, _CHUNK)
    work = Unpacking(limits)
    try:
        with tarfile.open(
            fileobj=stream,
            mode="r|",
            bufsize=_CHUNK,
            tarinfo=StrictHeader,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            while (member := archive.next()) is not None:
                work.add(archive, member)
                # tarfile remembers every member of a stream
                archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
        work.finish()
        while stream.read(_CHUNK):
            pass  # padding; the decompressor must not die of a closed pipe
    except (tarfile.TarError, EOFError, OverflowError, ValueError, MemoryError, RecursionError) as error:
        raise ArchiveRefused(f"not a readable tar archive ({str(error) or type(error).__name__})") from error
    if work.entries == 0:
        raise ArchiveRefused("the archive is empty")
    return {"entries": work.entries, "bytes": counted.taken, "skipped": work.skipped}


def _empty() -> None:
    """Remove what an earlier try left in the root directory.

    Folders are moved up before they are looked into, so that no depth of a stranger's tree is too deep.
    """
    folders = _clear("/")
    number = 0
    while folders:
        folder = folders.pop()
        for inner in _clear(folder):
            while os.path.lexists(moved := f"/{number}"):
                number += 1
            os.rename(inner, moved)
            folders.append(moved)
        os.rmdir(folder)


def _clear(folder: str) -> list[str]:
    """Unlink the files of a folder and return its folders."""
    inner = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.path)
            else:
                os.unlink(entry.path)
    return inner


def main(arguments: list[str]) -> int:
    folder, text = arguments
    limits = Limits(**json.loads(text))
    answer: dict[str, int | str]
    try:
        cage.die_with_parent()
        cage.enter(folder, cpu_seconds=limits.seconds)
        os.umask(0o022)
        _empty()
        answer = dict(unpack(sys.stdin.buffer, limits))
    except ArchiveRefused as error:
        answer = {"refused": str(error)}
    except OSError as error:
        where = f" at {error.filename!a}" if error.filename else ""
        answer = {"failed": f"{error.strerror}{where}", "errno": error.errno or 0}
    print(json.dumps(answer), flush=True)
    return 0
