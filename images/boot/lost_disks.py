"""File systems whose disk was taken out while nothing ran on them yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from provisioners.system.command import run

MOUNTS = Path("/proc/self/mountinfo")
BTRFS = "btrfs"


def lost(mountinfo: str, places: Sequence[Path], is_there: Callable[[Path], bool]) -> list[Path]:
    """Mount points at or below `places` whose disk is gone, the youngest first.  Pure.

    `mountinfo` is the text of that file (proc(5)): the mount point is the fifth word, file system and source follow
    a lone hyphen.
    """
    found = []
    for line in mountinfo.splitlines():
        words = line.split()
        try:
            point, (kind, source) = Path(words[4]), words[words.index("-", 6) + 1 :][:2]
        except (IndexError, ValueError):
            continue
        inside = any(point == place or place in point.parents for place in places)
        if inside and kind == BTRFS and not is_there(Path(source)):
            found.append(point)
    return found[::-1]


async def let_go(places: Sequence[Path]) -> None:
    """Unmount what is at or below `places` and lies on a disk that is gone.  Raises CommandFailed, OSError."""
    for point in lost(MOUNTS.read_text(), places, Path.exists):
        await run("umount", "--lazy", str(point))
        print(f"{point}: its disk was taken out", flush=True)
