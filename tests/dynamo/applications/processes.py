"""Processes of this machine by what they were started with."""

from __future__ import annotations

from pathlib import Path


def processes_with(word: str) -> list[int]:
    """Numbers of processes that run and have a word in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word.encode() in words and state != "Z":
            found.append(int(folder.name))
    return found
