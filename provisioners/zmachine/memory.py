"""How much memory of the host one machine takes (B081; `vm-qemu.md` §10)."""

from __future__ import annotations

from provisioners.system.qemu_arguments import MIB, TCG_CACHE_MIB, Accelerator

QEMU_OVERHEAD = 70 * MIB
"""QEMU itself, beside the guest's memory and the translation cache."""
SHARE_OVERHEAD = 12 * MIB
"""One virtiofsd."""
MARGIN = 64 * MIB
"""On top of the expected use, before the kernel ends the machine: page tables, socket buffers, hot page cache."""


def overhead(accelerator: Accelerator, shares: int = 1) -> int:
    """Bytes that a machine takes beyond the memory that its guest sees; the root is one of the shares."""
    cache = TCG_CACHE_MIB * MIB if accelerator is Accelerator.TCG else 0
    return QEMU_OVERHEAD + cache + shares * SHARE_OVERHEAD


def limit(guest_memory: int, accelerator: Accelerator, shares: int = 1) -> int:
    """Bytes at which the kernel ends the machine's group."""
    return guest_memory + overhead(accelerator, shares) + MARGIN
