"""Build the guest kernel and the initrd into a folder."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images import cpio
from images.debian import ImageError, Package, PackageCache, sha256_file, write_atomically

KERNEL = "linux-image-cloud-amd64"
BUSYBOX = "busybox-static"

MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtiofs",
    "vfat",
    "nls_ascii",
    "nls_cp437",
    "virtio-rng",
    "button",
    "evdev",
    "pvpanic-pci",
)
"""What a machine in container mode needs beyond what the cloud kernel has built in (ext4 is)."""

APPLETS = (
    *("cat", "chroot", "cp", "echo", "insmod", "ln", "mkdir"),
    *("mount", "poweroff", "sh", "sleep", "switch_root", "umount"),
)
"""Programs that `init` calls; `setup.sh` needs no names."""

SCRIPTS = Path(__file__).parent
FORMAT = 1
"""Version of the manifest, for those who read it."""


def build(out: Path) -> Path:
    """Ensure `<out>/guest/{vmlinuz,initrd,manifest.json}` and return that folder.

    Does nothing, and needs no network, when the folder holds what this recipe makes.  Raises ImageError.
    """
    target = out / "guest"
    recipe = recipe_hash()
    if is_current(target, recipe):
        return target
    target.mkdir(parents=True, exist_ok=True)
    cache = PackageCache(out / "debs")
    kernel = cache.kernel(KERNEL)
    busybox = cache.fetch([BUSYBOX])[BUSYBOX]
    with tempfile.TemporaryDirectory(prefix="zos-guest-", dir=out) as folder:
        tree = Path(folder)
        cache.unpack(kernel, tree)
        cache.unpack(busybox, tree)
        release = kernel_release(tree)
        modules = module_files(tree, release)
        initrd = cpio.archive(initrd_entries((tree / "bin/busybox").read_bytes(), modules))
        write_atomically(target / "vmlinuz", (tree / f"boot/vmlinuz-{release}").read_bytes())
        write_atomically(target / "initrd", initrd)
    manifest = describe(target, recipe, release, (kernel, busybox), [module.name for module in modules])
    write_atomically(target / "manifest.json", manifest)
    return target


def recipe_hash() -> str:
    """Hash of everything of ours that goes into the initrd."""
    digest = hashlib.sha256(f"{FORMAT} {KERNEL} {BUSYBOX} {' '.join(MODULES)}".encode())
    for script in ("init", "setup.sh", "power.sh"):
        digest.update((SCRIPTS / script).read_bytes())
    return digest.hexdigest()


def is_current(target: Path, recipe: str) -> bool:
    """True when the folder holds the files of this recipe, unchanged since they were made."""
    try:
        manifest = json.loads((target / "manifest.json").read_text())
        return manifest["recipe"] == recipe and all(
            sha256_file(target / name) == manifest["sha256"][name] for name in ("vmlinuz", "initrd")
        )
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return False


def kernel_release(tree: Path) -> str:
    """Release of the one kernel that was unpacked into `tree`."""
    found = [folder.name for folder in (tree / "lib/modules").iterdir()]
    if len(found) != 1:
        raise ImageError(f"the kernel package holds {len(found)} kernels, one was expected")
    return found[0]


def module_files(tree: Path, release: str) -> list[Path]:
    """Module files in load order: dependencies first, none twice."""
    _run(["depmod", "--basedir", str(tree), release])
    ordered: dict[Path, None] = {}
    for module in MODULES:
        shown = _run(["modprobe", "--dirname", str(tree), "--set-version", release, "--show-depends", module])
        ordered |= dict.fromkeys(dependency_paths(shown))
    return list(ordered)


def dependency_paths(shown: str) -> list[Path]:
    """Files that `modprobe --show-depends` names, in its order."""
    return [Path(path) for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE)]


def initrd_entries(busybox: bytes, modules: Sequence[Path]) -> list[cpio.Entry]:
    """Content of the initrd."""
    folders = ("bin", "dev", "lib", "lib/mods", "newroot", "proc", "seed", "sys")
    return [
        *(cpio.folder(name) for name in folders),
        cpio.file("bin/busybox", busybox, 0o755),
        *(cpio.link(f"bin/{applet}", "busybox") for applet in APPLETS),
        cpio.file("lib/mods/order", "".join(f"{module.name}\n" for module in modules).encode()),
        *(cpio.file(f"lib/mods/{module.name}", module.read_bytes()) for module in modules),
        cpio.file("lib/setup.sh", (SCRIPTS / "setup.sh").read_bytes()),
        cpio.file("lib/power.sh", (SCRIPTS / "power.sh").read_bytes()),
        cpio.file("init", (SCRIPTS / "init").read_bytes(), 0o755),
    ]


def describe(
    target: Path, recipe: str, release: str, packages: Sequence[Package], modules: Sequence[str]
) -> bytes:
    """The manifest: what was made, of what."""
    return json.dumps(
        {
            "format": FORMAT,
            "recipe": recipe,
            "kernel_release": release,
            "packages": {package.name: package.version for package in packages},
            "modules": list(modules),
            "sha256": {name: sha256_file(target / name) for name in ("vmlinuz", "initrd")},
        },
        indent=1,
    ).encode()


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise ImageError(f"{command[0]} is missing: install the Debian package kmod") from None
    if done.returncode != 0:
        raise ImageError(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
