"""The kernel's modules that the image takes along: wanted names and all that they need."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from images.debian import ImageError, run_tool


def release_of(tree: Path) -> str:
    """Release of the one kernel that was unpacked into `tree`."""
    found = [folder.name for folder in (tree / "lib/modules").iterdir()]
    if len(found) != 1:
        raise ImageError(f"the kernel package holds {len(found)} kernels, one was expected")
    return found[0]


def closure(tree: Path, release: str, names: Iterable[str]) -> list[Path]:
    """Module files in load order, paths below `tree`; what is built in or unknown to this kernel is left out."""
    ordered: dict[Path, None] = {}
    for name in names:
        try:
            shown = run_tool(
                ["modprobe", "--dirname", str(tree), "--set-version", release, "--show-depends", name], 60
            )
        except ImageError:
            continue
        for found in re.findall(r"^insmod (\S+)", shown, re.MULTILINE):
            ordered[Path(found)] = None
    return list(ordered)


def copy(tree: Path, release: str, files: Iterable[Path], target: Path) -> None:
    """Copy module files below `target` (a root file system) and make their index."""
    folder = f"lib/modules/{release}"
    for file in files:
        place = target / file.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(tree / folder / index, target / folder / index)
    run_tool(["depmod", "--basedir", str(target), release], 120)
