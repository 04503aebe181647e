"""An EFI program signed for UEFI Secure Boot, alone or as the disk image that holds it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from images.debian import ImageError, run_tool
from images.node import disk_image, recipe

SIGN_LIMIT_S = 300
DISK = ".img"
"""End of the name of a target that is to be a disk image."""


def sign(program: Path, key: Path, certificate: Path, target: Path) -> None:
    """Sign a program whose farm slot is filled already: the signature covers it.  A target `*.img` is a whole disk.

    Raises ImageError.
    """
    if not program.is_file() or program.read_bytes()[:2] != b"MZ":
        raise ImageError(f"{program} is no EFI program; give node.efi, or what `zos image patch` made of it")
    with tempfile.TemporaryDirectory(prefix="sign-", dir=target.parent) as folder:
        signed = Path(folder) / "signed.efi"
        run_tool(
            ["sbsign", "--key", str(key), "--cert", str(certificate), "--output", str(signed), str(program)],
            SIGN_LIMIT_S,
        )
        run_tool(["sbverify", "--cert", str(certificate), str(signed)], SIGN_LIMIT_S)
        if target.suffix == DISK:
            epoch = int(os.environ.get("SOURCE_DATE_EPOCH", recipe.EPOCH))
            fresh = Path(folder) / "disk.img"
            disk_image.build(signed, fresh, epoch)
            fresh.replace(target)
        else:
            signed.replace(target)
