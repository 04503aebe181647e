"""Seed files on disk: read, written whole or not at all, renamed aside, never deleted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from images.boot.identity import Choice
from images.boot.seed import MOST_BYTES, encode

NAME = "seed.txt"
MODE = 0o400


def read_all(places: Mapping[str, Path]) -> dict[str, bytes | None]:
    """Content by place, None where there is no file.  One that the disk does not give counts as unreadable."""
    found: dict[str, bytes | None] = {}
    for place, file in places.items():
        try:
            with file.open("rb") as stream:
                found[place] = stream.read(MOST_BYTES + 1)
        except FileNotFoundError:
            found[place] = None
        except OSError:
            found[place] = b"unreadable"
    return found


def apply(choice: Choice, seed: bytes, places: Mapping[str, Path]) -> list[str]:
    """Rename unreadable files aside and write the missing ones; returns sentences about what failed."""
    failed = []
    for place in choice.set_aside:
        try:
            set_aside(places[place])
        except OSError as problem:
            failed.append(f"{places[place]} cannot be renamed: {problem.strerror}")
    for place in choice.restore:
        try:
            write(places[place], seed)
        except OSError as problem:
            failed.append(f"identity cannot be copied to {place}: {problem.strerror}")
    return failed


def set_aside(file: Path) -> Path:
    """Rename a file to a free name beside it."""
    for number in range(1, 1000):
        target = file.with_name(f"{file.name}.unreadable-{number}")
        if not target.exists():
            file.rename(target)
            _sync(file.parent)
            return target
    raise OSError(17, "too many unreadable copies")


def write(file: Path, seed: bytes) -> None:
    """Make the file, durable when this returns; an existing one is not replaced unless it is empty."""
    if file.exists() and file.stat().st_size:
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encode(seed))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
