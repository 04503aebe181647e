"""KVM where a guest really boots under it, else emulation; the verdict of the node's own probe."""

from __future__ import annotations

import asyncio
from pathlib import Path

from images.guest.build import build
from provisioners.system import accelerator


def choose(cache: Path) -> str:
    """`kvm` or `tcg`; the verdict is kept in the cache folder for this boot of the machine."""
    guest = build(cache)
    verdict = asyncio.run(
        accelerator.choose(guest / "vmlinuz", guest / "initrd", cache / "node" / "accelerator.json")
    )
    return verdict.accelerator.value
