"""A machine's root file system: the image, unpacked once into a volume of the machine's own."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gridtypes import WorkloadId
from provisioners.protocol import Context, WorkloadError
from provisioners.system.blocking import to_the_end

FULL_MACHINE = "image.raw"
"""An image with this file at its top is the disk of a whole virtual machine (`vm.md` A3)."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


async def ensure_root(ctx: Context, id: WorkloadId, image: str, size: int) -> Path:
    """Ensure the volume with the image's content and return its folder.

    What a user changed in it stays as long as the workload exists (B080).  Raises WorkloadError.
    """
    volume = await ctx.roots.ensure(id, size)
    if not volume.fresh:
        return volume.path
    archive = await ctx.images.fetch(image)
    await ctx.images.unpack(archive, volume.path)
    if is_full_machine(volume.path):
        raise WorkloadError(
            f"{image} is the disk of a whole virtual machine ({FULL_MACHINE}); "
            "this node runs root file system archives only"
        )
    await to_the_end(lambda: remove_host_keys(volume.path))
    await ctx.roots.commit(id)
    return volume.path


def is_full_machine(root: Path) -> bool:
    """True when the image carries a disk.  A link is not followed: it would lead into the host."""
    try:
        return stat.S_ISREG((root / FULL_MACHINE).lstat().st_mode)
    except FileNotFoundError:
        return False


def remove_host_keys(root: Path) -> None:
    """Remove the SSH host keys that an image brings, so that each machine gets its own.

    The image's folders may be links to anywhere: each is opened below the one before, and a link ends the search.
    """
    opened: list[int] = []
    try:
        opened.append(os.open(root, _FOLDER))
        for name in ("etc", "ssh"):
            opened.append(os.open(name, _FOLDER, dir_fd=opened[-1]))
        for name in os.listdir(opened[-1]):
            if name.startswith("ssh_host_"):
                os.unlink(name, dir_fd=opened[-1])
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
            raise
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)
