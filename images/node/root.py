"""The root file system of a node, from packages to squashfs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.debian import ImageError, run_tool
from images.node import recipe, wheels

BASE_TIMEOUT_S = 1200
PACK_TIMEOUT_S = 900
PYTHON_FOLDER = "usr/local/lib/python3.11/dist-packages"
OVERLAY = Path(__file__).parent / "overlay"


@dataclass(frozen=True, slots=True)
class Root:
    """A finished root image and what is in it."""

    image: Path
    debian: Mapping[str, str]
    """Version by package."""
    python: Mapping[str, str]
    licences: str


def base(cache: Path, epoch: int) -> Path:
    """The tar of Debian's packages, made when the cache lacks it.  Raises ImageError."""
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--format=tar",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={path}" for path in recipe.EXCLUDED_PATHS),
        f"--include={','.join(recipe.PACKAGES)}",
        recipe.SUITE,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps([command, epoch]).encode()).hexdigest()[:16]
    target = cache / f"base-{digest}.tar"
    if not target.exists():
        if os.geteuid() != 0:
            raise ImageError("the root file system of a node is made by root: run `make image` as root")
        fresh = cache / "fresh-base.tar"
        run_tool([*command, str(fresh)], BASE_TIMEOUT_S, env={"SOURCE_DATE_EPOCH": str(epoch)})
        for old in cache.glob("base-*.tar"):
            old.unlink()
        fresh.rename(target)
    return target


def assemble(tree: Path, base_tar: Path, own: Path, others: list[Path], guest: Path, version: str) -> Root:
    """Fill `tree`; the kernel's modules come beside it.  Raises ImageError."""
    run_tool(["tar", "--extract", "--numeric-owner", "-f", str(base_tar), "-C", str(tree)], PACK_TIMEOUT_S)
    debian = package_versions((tree / "var/lib/dpkg/status").read_text(errors="replace"))
    licences = licence_texts(tree)
    python = wheels.unzip([*others, own], tree / PYTHON_FOLDER)
    prune(tree)
    shutil.copytree(OVERLAY, tree, dirs_exist_ok=True, symlinks=True)
    shutil.copytree(guest, tree / "usr/lib/zos/guest")
    (tree / "usr/lib/zos/version").write_text(f"{version}\n")
    for name in ("init", "zosctl"):
        (tree / "sbin" / name).chmod(0o755)
    for folder in ("run", "tmp", "var/cache", "var/log", "mnt"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "etc/machine-id").write_text("")
    resolver = tree / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("/run/resolv.conf")
    (tree / "etc/hostname").write_text("node\n")
    (tree / "etc/hosts").write_text("127.0.0.1\tlocalhost node\n::1\tlocalhost\n")
    return Root(Path(), debian, python, licences)


def finish(tree: Path, image: Path, epoch: int) -> None:
    """Compile, check the imports, flatten the times, pack.  Raises ImageError."""
    if missing := missing_parts(tree):
        raise ImageError(
            f"the image lacks {', '.join(missing)}: add packages to PACKAGES, or take them from PRUNED"
        )
    compile_python(tree)
    run_tool(
        ["chroot", str(tree), "/usr/bin/python3", "-BI", "-c", f"import {', '.join(recipe.IMPORTS)}"], 300
    )
    flatten_times(tree, epoch)
    image.unlink(missing_ok=True)
    run_tool(
        ["mksquashfs", str(tree), str(image), "-comp", "zstd", "-Xcompression-level", "9", "-noappend",
         "-no-progress", "-quiet", "-no-exports", "-no-xattrs"],
        PACK_TIMEOUT_S,
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip


def missing_parts(tree: Path) -> list[str]:
    """What a node calls or reads and the tree does not have."""
    folders = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
    missing = [
        name for name in recipe.PROGRAMS if not any(os.path.lexists(tree / each / name) for each in folders)
    ]
    return missing + [name for name in recipe.FILES if not (tree / name).exists()]


def package_versions(status: str) -> dict[str, str]:
    """Version of every package in dpkg's status file."""
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " "
        )
        if "Package" in fields and "Version" in fields:
            found[fields["Package"]] = fields["Version"]
    return found


def licence_texts(tree: Path) -> str:
    """The copyright files of all packages, one after the other."""
    parts = []
    for file in sorted(tree.glob("usr/share/doc/*/copyright")):
        target = file.resolve()
        if target.is_file() and target.is_relative_to(tree.resolve()):
            parts.append(f"==== {file.parent.name}\n\n{file.read_text(errors='replace').strip()}\n")
    return "\n".join(parts)


def prune(tree: Path) -> None:
    """Take out what no node opens."""
    for pattern in recipe.PRUNED:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in (tree / recipe.CHARSETS).glob("*.so"):
        if path.name not in recipe.KEPT_CHARSETS:
            path.unlink()
    for folder in ("lib/terminfo", "usr/share/terminfo", "usr/lib/terminfo"):
        for path in (tree / folder).glob("*/*"):
            if path.name not in recipe.KEPT_TERMINALS:
                path.unlink()


def compile_python(tree: Path) -> None:
    """Byte code of everything: half of a boot's time under emulation is importing."""
    for cache in list(tree.rglob("__pycache__")):
        shutil.rmtree(cache)
    folders = [f"/{PYTHON_FOLDER}", "/usr/lib/python3.11", "/usr/lib/python3"]
    run_tool(
        ["chroot", str(tree), "/usr/bin/python3", "-I", "-m", "compileall", "-q", "-j", "0",
         "--invalidation-mode", "unchecked-hash", *folders],
        PACK_TIMEOUT_S,
        env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip


def flatten_times(tree: Path, epoch: int) -> None:
    """No time stamp after the epoch."""
    for folder, folders, files in os.walk(tree, topdown=False):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if os.lstat(path).st_mtime > epoch:
                os.utime(path, (epoch, epoch), follow_symlinks=False)
    os.utime(tree, (epoch, epoch))
