"""Thin drivers for what the kernel and its helper programs offer: links, nft, disks, QEMU.  They decide nothing."""
