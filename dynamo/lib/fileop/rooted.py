"""Files below a folder that is marked as a site's, and nothing outside of it.

Every step of a path is opened by itself and no link is followed, so that nobody leads an operation elsewhere by
changing a folder meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARKER = ".dynamo-site"
"""The file in the folder of a site that holds the site's name."""
COPY_BYTES = 1 << 22
MAX_DEPTH = 64

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def parts_of(name: str) -> list[str]:
    """The steps of a file's name below its site.  Raises OSError (EINVAL) for one that leads elsewhere."""
    parts = [part for part in name.split("/") if part]
    bad = not parts or len(parts) > MAX_DEPTH or "\0" in name or parts == [MARKER]
    if bad or any(part in (".", "..") for part in parts):
        raise OSError(errno.EINVAL, f"{name!r} is no name of a file below a site")
    return parts


@contextmanager
def opened_root(root: Path, site: str) -> Iterator[int]:
    """The descriptor of a site's folder.  Raises OSError (EINVAL) unless its marker names this site."""
    descriptor = os.open(root, _FOLDER)
    try:
        try:
            marker = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        except FileNotFoundError:
            raise OSError(
                errno.EINVAL, f"{root} has no {MARKER} that says that it is the folder of {site}"
            ) from None
        with os.fdopen(marker, "rb") as opened:
            owner = opened.read(256).decode("utf-8", "replace").strip()
        if owner != site:
            raise OSError(errno.EINVAL, f"{root} is marked as the folder of {owner!r}, not of {site!r}")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_folder(root: int, parts: list[str], make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below a root; missing ones are made if wanted.  Raises OSError."""
    descriptor = os.dup(root)
    try:
        for part in parts:
            if make:
                try:
                    os.mkdir(part, 0o755, dir_fd=descriptor)
                except FileExistsError:
                    pass
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def copy_file(source: int, target: int, name: str, size: int, label: str) -> None:
    """Copy a file from one root to the other; it appears whole or not at all, and is on the disk then.

    `label` makes the name of the unfinished copy.  Raises OSError, EBADMSG when the size is not what it should be.
    """
    *folders, last = parts_of(name)
    with (
        opened_folder(source, folders) as from_folder,
        opened_folder(target, folders, make=True) as to_folder,
    ):
        reading = os.open(
            last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=from_folder
        )
        try:
            found = os.fstat(reading)
            if not stat.S_ISREG(found.st_mode) or found.st_size != size:
                raise OSError(
                    errno.EBADMSG, f"{name} is no file of {size} bytes at its source, but has {found.st_size}"
                )
            unfinished = f".{label}.part"
            _remove(unfinished, to_folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            writing = os.open(unfinished, flags, 0o644, dir_fd=to_folder)
            try:
                copied = 0
                while (count := os.sendfile(writing, reading, copied, COPY_BYTES)) > 0:
                    copied += count
                if copied != size:
                    raise OSError(errno.EBADMSG, f"{name} changed while it was copied")
                os.fsync(writing)
                os.rename(unfinished, last, src_dir_fd=to_folder, dst_dir_fd=to_folder)
            except BaseException:
                _remove(unfinished, to_folder)
                raise
            finally:
                os.close(writing)
            os.fsync(to_folder)
        finally:
            os.close(reading)


def delete_file(root: int, name: str) -> None:
    """Delete a file below a root, and folders that are empty then.  One that is not there is deleted already.

    Raises OSError.
    """
    *folders, last = parts_of(name)
    try:
        with opened_folder(root, folders) as folder:
            found = os.stat(last, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, f"{name} is no file; it is left alone")
            os.unlink(last, dir_fd=folder)
            os.fsync(folder)
        while folders:
            *folders, last = folders
            with opened_folder(root, folders) as folder:
                os.rmdir(last, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _remove(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
