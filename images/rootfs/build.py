"""Build the demo's root file system archive into a folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images import cpio
from images.debian import PackageCache, sha256_file, write_atomically

NAME = "demo.tar.gz"

PACKAGES = (
    "busybox-static",
    "dropbear-bin",
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
)

PROGRAMS = ("bin/busybox", "usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/dbclient")

LIBRARIES = (
    "libc.so.6",
    "libcrypt.so.1",
    "libgmp.so.10",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libz.so.1",
)
"""What the programs above are linked with."""

LOADER = "ld-linux-x86-64.so.2"
LIBRARY_FOLDER = "usr/lib/x86_64-linux-gnu"

FOLDERS = (
    *("dev", "etc", "home", "mnt", "proc", "root", "run", "srv", "sys", "tmp"),
    *("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "var", "var/log", "var/www"),
)

LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "usr/sbin/init": "zinit",
}

TEXTS = {
    "etc/passwd": "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/shells": "/bin/sh\n",
    "etc/profile": "PS1='\\h:\\w# '\ncd /root\n",
}

SCRIPTS = Path(__file__).parent
FORMAT = 1


def build(out: Path) -> Path:
    """Ensure `<out>/rootfs/demo.tar.gz` with its `.sha256` beside it, and return the archive's path.

    Does nothing, and needs no network, when the folder holds what this recipe makes.  Raises ImageError.
    """
    target = out / "rootfs"
    file = target / NAME
    recipe = recipe_hash()
    if is_current(target, recipe):
        return file
    target.mkdir(parents=True, exist_ok=True)
    cache = PackageCache(out / "debs")
    packages = cache.fetch(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="zos-rootfs-", dir=out) as folder:
        tree = Path(folder)
        for package in packages.values():
            cache.unpack(package, tree)
        write_atomically(file, archive(entries(tree)))
    digest = sha256_file(file)
    write_atomically(target / f"{NAME}.sha256", f"{digest}  {NAME}\n".encode())
    manifest = {
        "format": FORMAT,
        "recipe": recipe,
        "packages": {package.name: package.version for package in packages.values()},
        "sha256": {NAME: digest},
    }
    write_atomically(target / "manifest.json", json.dumps(manifest, indent=1).encode())
    return file


def recipe_hash() -> str:
    """Hash of everything of ours that goes into the archive."""
    parts = (FORMAT, PACKAGES, PROGRAMS, LIBRARIES, FOLDERS, sorted(LINKS.items()), sorted(TEXTS.items()))
    digest = hashlib.sha256(repr(parts).encode())
    digest.update((SCRIPTS / "zinit.sh").read_bytes())
    return digest.hexdigest()


def is_current(target: Path, recipe: str) -> bool:
    """True when the folder holds the archive of this recipe, unchanged since it was made."""
    try:
        manifest = json.loads((target / "manifest.json").read_text())
        return bool(manifest["recipe"] == recipe and manifest["sha256"][NAME] == sha256_file(target / NAME))
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return False


def entries(tree: Path) -> list[cpio.Entry]:
    """Content of the root file system, taken from packages unpacked into `tree`."""
    busybox = tree / "bin/busybox"
    found = [
        *(cpio.folder(name, 0o1777 if name == "tmp" else 0o755) for name in (*FOLDERS, LIBRARY_FOLDER)),
        *(cpio.link(name, target) for name, target in LINKS.items()),
        *(cpio.file(name, text.encode()) for name, text in TEXTS.items()),
        cpio.file("usr/sbin/zinit", (SCRIPTS / "zinit.sh").read_bytes(), 0o755),
        *(cpio.file(_merged(name), (tree / name).read_bytes(), 0o755) for name in PROGRAMS),
        *(cpio.file(f"{LIBRARY_FOLDER}/{name}", library(tree, name), 0o755) for name in LIBRARIES),
        cpio.file(f"usr/lib64/{LOADER}", library(tree, LOADER), 0o755),
    ]
    taken = {entry.name for entry in found}
    applets = (f"usr/bin/{applet}" for applet in applet_names(busybox))
    return found + [cpio.link(name, "busybox") for name in applets if name not in taken]


def library(tree: Path, name: str) -> bytes:
    """Content of a shared library, wherever the package has it."""
    for folder in ("lib/x86_64-linux-gnu", LIBRARY_FOLDER, "lib64"):
        path = tree / folder / name
        if path.exists():
            return path.read_bytes()
    raise FileNotFoundError(f"no package brought the library {name}")


def applet_names(busybox: Path) -> list[str]:
    """The programs that this busybox can be called as."""
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=30, check=True)
    return sorted(set(listed.stdout.split()) - {"busybox", "init"})


def archive(content: Sequence[cpio.Entry]) -> bytes:
    """A tar.gz that depends on nothing but its content: owner root, times zero."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in content:
            tar.addfile(*_member(entry))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def _member(entry: cpio.Entry) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    info = tarfile.TarInfo(entry.name)
    info.mode = stat.S_IMODE(entry.mode)
    if stat.S_ISDIR(entry.mode):
        info.type = tarfile.DIRTYPE
        return info, None
    if stat.S_ISLNK(entry.mode):
        info.type = tarfile.SYMTYPE
        info.linkname = entry.content.decode()
        return info, None
    info.size = len(entry.content)
    return info, io.BytesIO(entry.content)


def _merged(name: str) -> str:
    return name if name.startswith("usr/") else f"usr/{name}"
