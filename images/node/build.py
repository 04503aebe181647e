"""Build the image: root, kernel and initrds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images import manifest
from images.debian import PackageCache, run_tool, sha256_file, write_atomically
from images.guest.build import build as build_guest
from images.node import disk_image, firmware, initrd, iso, modules, recipe, root, uki, wheels

NAME = "node"
FILES = ("vmlinuz", "initrd", "initrd-small", "root.img", "node.efi", "node.img", "node.iso")
"""Kernel and one-file initrd; small initrd and root image as a disk; EFI program; raw UEFI disk; hybrid ISO."""
LISTS = ("packages.json", "licences.txt")
ASIDE = {"__pycache__", "bootstrap", "testnode", "rootfs"}
"""Parts of the tree that do not go into the image."""
PUBLIC_KEY = "release.pub"
"""64 hex digits, beside the image and inside it."""


@dataclass(frozen=True, slots=True)
class Built:
    """A folder with the artefacts."""

    folder: Path
    version: str

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def build(out: Path, say: Callable[[str], None] = lambda text: None) -> Built:
    """Ensure `<out>/node/` with kernel, initrds, root image and `packages.json`.

    Does nothing when the folder holds what this tree makes.  Raises ImageError.
    """
    cache = out / NAME
    target = cache / "image"
    source = source_hash()
    if is_current(target, source):
        return Built(target, read_version(target))
    cache.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", recipe.EPOCH))
    version = version_text(source)
    started = time.monotonic()

    def step(text: str) -> None:
        say(f"{time.monotonic() - started:5.0f} s  {text}")

    guest = build_guest(out)
    step("Debian packages")
    base = root.base(cache, epoch)
    step("wheels")
    others = wheels.download(cache / "wheels")
    packages = PackageCache(out / "debs")
    key = manifest.load_or_make_key(Path(os.environ.get("ZOS_RELEASE_KEY", cache / "keys/release.key")))
    public = f"{key.public_key().public_bytes_raw().hex()}\n"
    kernel = packages.kernel(recipe.KERNEL)
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as folder:
        work = Path(folder)
        step("kernel")
        kernel_tree = work / "kernel"
        packages.unpack(kernel, kernel_tree)
        release = modules.release_of(kernel_tree)
        run_tool(["depmod", "--basedir", str(kernel_tree), release], 120)
        step("root file system")
        tree = work / "root"
        tree.mkdir(mode=0o755)
        found = root.assemble(tree, base, wheels.own(work), others, guest, version)
        drivers = modules.closure(kernel_tree, release, recipe.ROOT_MODULES)
        modules.copy(kernel_tree, release, drivers, tree)
        step("firmware of cards")
        cards = firmware.add(packages, drivers, tree, work)
        if cards.missing:
            step(f"NO FIRMWARE of network and storage cards: {cards.missing}")
        keys = tree / "usr/lib/zos/release-keys"
        keys.mkdir()
        (keys / "release.pub").write_text(public)
        image = work / "root.img"
        step("byte code and squashfs")
        root.finish(tree, image, epoch)
        step("initrd")
        small = initrd.stage1(kernel_tree, release, (tree / "bin/busybox").read_bytes())
        fresh = work / "image"
        fresh.mkdir()
        shutil.copyfile(kernel_tree / f"boot/vmlinuz-{release}", fresh / "vmlinuz")
        (fresh / "initrd-small").write_bytes(small)
        (fresh / "initrd").write_bytes(initrd.one_file(small, image))
        shutil.move(image, fresh / "root.img")
        step("EFI program")
        stub = packages.fetch([recipe.EFI_STUB])[recipe.EFI_STUB]
        packages.unpack(stub, work / "stub")
        uki.build(
            work / "stub" / uki.STUB, fresh / "vmlinuz", fresh / "initrd", version, epoch, fresh / "node.efi"
        )
        step("raw disk")
        disk_image.build(fresh / "node.efi", fresh / "node.img", epoch)
        step("ISO")
        iso.build(
            work, fresh / "vmlinuz", fresh / "initrd-small", fresh / "root.img", fresh / "node.iso", epoch
        )
        (fresh / "licences.txt").write_text(f"{found.licences}\n{cards.licences}")
        (fresh / "packages.json").write_text(
            json.dumps(
                {
                    "version": version,
                    "epoch": epoch,
                    "kernel": {"release": release, "package": kernel.name, "version": kernel.version,
                               "sha256": kernel.sha256},
                    "debian": dict(sorted({**found.debian, **cards.versions}.items())),
                    "firmware": list(cards.files),
                    "python": dict(sorted(found.python.items())),
                    "wheels": {wheel.name: sha256_file(wheel) for wheel in others},
                },
                indent=1,
            )
        )  # fmt: skip
        (fresh / PUBLIC_KEY).write_text(public)
        step("manifest and signature")
        manifest.sign(fresh, manifest.describe(fresh, (*FILES, *LISTS), version, epoch), key)
        write_atomically(fresh / "made-from.json", json.dumps({"source": source}).encode())
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    step("done")
    return Built(target, version)


def source_hash() -> str:
    """Hash of everything of ours that goes into the image."""
    digest = hashlib.sha256()
    rooms = ("gridtypes", "tfchain", "rmb", "provisioners", "zosd", "images")
    files = [wheels.PROJECT / "pyproject.toml", wheels.PROJECT / "requirements.lock"]
    for room in rooms:
        files += [
            file
            for file in (wheels.PROJECT / room).rglob("*")
            if file.is_file() and not ASIDE.intersection(file.parts)
        ]
    for file in sorted(files):
        digest.update(f"{file.relative_to(wheels.PROJECT)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(target: Path, source: str) -> bool:
    """True when the folder holds what this tree makes."""
    try:
        made = json.loads((target / "made-from.json").read_text())
        return bool(made["source"] == source and all((target / name).stat().st_size > 0 for name in FILES))
    except (OSError, ValueError, KeyError):
        return False


def read_version(target: Path) -> str:
    return str(json.loads((target / "packages.json").read_text())["version"])


def version_text(source: str) -> str:
    """Version of the project and of everything of ours in the image: equal sources, equal version."""
    return f"{wheels.own_version()}+{source[:10]}"
