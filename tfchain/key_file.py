"""A file that holds a secret: written whole or not at all, for its owner only, never replaced."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from pathlib import Path

OWNER_ONLY = 0o600
MAX_SIZE = 8192
"""Bytes; a mnemonic with path and password is far shorter."""

log = logging.getLogger(__name__)


class KeyFileError(ValueError):
    """A key file that cannot be used.  The message names the file and never shows what it holds."""


def read(path: Path) -> str:
    """The text of a key file, without surrounding blanks.

    Takes away access of others, with a warning.  Raises FileNotFoundError and `KeyFileError`.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is not a regular file: name a file that holds the key")
        if stat.S_IMODE(status.st_mode) & ~OWNER_ONLY:
            log.warning("others could read %s (mode %03o): made it 600", path, stat.S_IMODE(status.st_mode))
            os.fchmod(file.fileno(), OWNER_ONLY)
        raw = file.read(MAX_SIZE + 1)
    if len(raw) > MAX_SIZE:
        raise KeyFileError(f"{path} is larger than {MAX_SIZE} bytes: that is no key file")
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise KeyFileError(
            f"{path} is not text: the file was left as it is, put the right one in its place"
        ) from None
    if not text:
        raise KeyFileError(
            f"{path} is empty: remove it to have a new key made, or put the right one in its place"
        )
    return text


def write(path: Path, text: str) -> None:
    """Create the file with `text`; succeeds also when it holds just that, raises `KeyFileError` when it holds more.

    After return both the file and its name are on disk.  The directory is made, mode 0700, when it is missing.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        if read(path) != text.strip():
            raise KeyFileError(
                f"{path} already holds another key: move it away first, it is not replaced"
            ) from None
    finally:
        temporary.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
