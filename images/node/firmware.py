"""Firmware that network and storage cards need, from Debian's component `non-free-firmware`.

The machine that builds need not have that component among its sources: apt asks for it with lists of its own, and
checks them as always.  Only the files that the image's own modules name are taken.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images.debian import ImageError, Package, PackageCache, run_tool
from images.node import recipe

NONE = "none"
"""Value of `ZOS_FIRMWARE` for an image without."""
FOLDER = "lib/firmware"
LISTS_LIMIT_S = 300


@dataclass(frozen=True, slots=True)
class Firmware:
    """What was taken along."""

    versions: dict[str, str] = field(default_factory=dict)
    """By package."""
    files: tuple[str, ...] = ()
    licences: str = ""
    missing: str = ""
    """Why there is none; "" when there is."""


def add(packages: PackageCache, modules: Sequence[Path], tree: Path, work: Path) -> Firmware:
    """Copy the firmware that `modules` (files) name into `tree`, a root file system.

    An image without it is better than none: what fails is told in `missing`.
    """
    if os.environ.get("ZOS_FIRMWARE") == NONE:
        return Firmware(missing="ZOS_FIRMWARE=none")
    try:
        found = fetch(packages)
    except ImageError as problem:
        return Firmware(missing=str(problem))
    unpacked = work / "firmware"
    for package in found.values():
        packages.unpack(package, unpacked)
    files = copy(unpacked / FOLDER, wanted(modules), tree / FOLDER)
    texts = [
        f"==== {name}\n\n{(unpacked / f'usr/share/doc/{name}/copyright').read_text(errors='replace').strip()}\n"
        for name in sorted(found)
    ]
    versions = {name: package.version for name, package in found.items()}
    return Firmware(versions, tuple(files), "\n".join(texts))


def fetch(packages: PackageCache) -> dict[str, Package]:
    """The packages, from the cache or from Debian.  Raises ImageError."""
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        state = Path(folder)
        (state / "lists/partial").mkdir(parents=True)
        (state / "sources.list").write_text(
            f"deb [signed-by={recipe.FIRMWARE_KEYRING}] {mirror()} {recipe.SUITE} {recipe.FIRMWARE_COMPONENT}\n"
        )
        options = (
            "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Etc::sourcelist={state / 'sources.list'}",
            "-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::Cache={state}", "-o", "APT::Sandbox::User=root",
        )  # fmt: skip
        return packages.fetch(recipe.FIRMWARE_PACKAGES, options)


def mirror() -> str:
    """Address from which this machine has its Debian.  Raises ImageError when it has none of our suite."""
    form = ("--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    for line in run_tool(["apt-get", "indextargets", *form], 60).splitlines():
        release, component, address = line.split(" ", 2)
        if (release, component) == (recipe.SUITE, "main"):
            return address
    raise ImageError(f"no source of apt has {recipe.SUITE} main, so its firmware cannot be had: add one")


def wanted(modules: Sequence[Path]) -> list[str]:
    """Names of all firmware files that modules may ask for.  Raises ImageError."""
    if not modules:
        return []
    shown = run_tool(["modinfo", "--field", "firmware", *map(str, modules)], 120)
    return sorted({line.strip() for line in shown.splitlines() if line.strip()})


def copy(source: Path, names: Iterable[str], target: Path) -> list[str]:
    """Copy the files that are there; returns their names.  Links are followed inside `source` alone."""
    copied = []
    for name in names:
        file = (source / name).resolve()
        if file.is_file() and file.is_relative_to(source.resolve()):
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            copied.append(name)
    return copied
