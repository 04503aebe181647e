"""Stage 1 and the one-file initrd."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from images import cpio
from images.debian import ImageError
from images.node import recipe
from images.node.modules import closure

ALIGN = 4
"""The kernel silently ignores a cpio archive behind a compressed one that does not begin at such an offset."""
APPLETS = (
    "cat", "cp", "cut", "dd", "echo", "grep", "head", "losetup", "mkdir", "modprobe", "mount", "reboot",
    "sh", "sha256sum", "sleep", "switch_root", "umount", "uname",
)  # fmt: skip


def stage1(kernel_tree: Path, release: str, busybox: bytes) -> bytes:
    """The compressed initramfs that finds the root image."""
    files = closure(kernel_tree, release, recipe.STAGE1_MODULES)
    folder = f"lib/modules/{release}"
    index = ("modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.softdep")
    entries = {
        **{f"{file.relative_to(kernel_tree)}": cpio.file(str(file.relative_to(kernel_tree)), file.read_bytes())
           for file in files},
        **{f"{folder}/{name}": cpio.file(f"{folder}/{name}", (kernel_tree / folder / name).read_bytes())
           for name in index},
        "lib/modules/order": cpio.file("lib/modules/order", ("\n".join(recipe.STAGE1_MODULES) + "\n").encode()),
        "bin/busybox": cpio.file("bin/busybox", busybox, 0o755),
        **{f"bin/{applet}": cpio.link(f"bin/{applet}", "busybox") for applet in APPLETS},
        "init": cpio.file("init", (Path(__file__).with_name("stage1")).read_bytes(), 0o755),
    }  # fmt: skip
    folders = {str(parent) for name in entries for parent in Path(name).parents} - {"."}
    folders |= {"dev", "new", "proc", "ro", "run", "rw", "sys"}
    archive = cpio.archive([*(cpio.folder(name) for name in sorted(folders)), *entries.values()])
    return compress(archive)


def compress(content: bytes) -> bytes:
    """zstd, equal for equal input."""
    done = subprocess.run(
        ["zstd", "-19", "-q", "-c"], input=content, capture_output=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise ImageError(f"zstd ended with status {done.returncode}: {done.stderr.decode()[-200:]}")
    return done.stdout


def one_file(first: bytes, root_image: Path) -> bytes:
    """Stage 1 and the root image in one initrd; the image's hash lies beside it and is compared at boot."""
    image = root_image.read_bytes()
    digest = hashlib.sha256(image).hexdigest()
    second = cpio.archive([cpio.file("rootfs.img", image), cpio.file("rootfs.sha", f"{digest}\n".encode())])
    return first + bytes(-len(first) % ALIGN) + second
