"""Kernel and initrd of machines in container mode, as the image recipe left them in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1
"""Version of the manifest that is understood here."""


class GuestImageMissing(Exception):
    """There is no usable guest kernel; the message says how to make one."""


@dataclass(frozen=True, slots=True)
class GuestImage:
    """What a machine's processor starts with."""

    kernel: Path
    initrd: Path
    kernel_release: str

    @classmethod
    def load(cls, folder: Path) -> GuestImage:
        """Read `manifest.json` of a folder made by `python -m images.guest`.  Raises GuestImageMissing."""
        remedy = f"make it with: python -m images.guest --out {folder.parent}"
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            if manifest["format"] != FORMAT:
                raise GuestImageMissing(
                    f"{folder}: manifest format {manifest['format']} is unknown; {remedy}"
                )
            image = cls(folder / "vmlinuz", folder / "initrd", str(manifest["kernel_release"]))
        except (OSError, ValueError, KeyError) as error:
            raise GuestImageMissing(f"there is no guest kernel in {folder} ({error}); {remedy}") from error
        for file in (image.kernel, image.initrd):
            if not file.is_file():
                raise GuestImageMissing(f"{file} is missing; {remedy}")
        return image
