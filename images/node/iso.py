"""A hybrid ISO: boots as CD and as stick, by BIOS and by UEFI."""

from __future__ import annotations

import shutil
from pathlib import Path

from images.debian import run_tool
from images.node.disk_image import fill_fat
from images.node.root import flatten_times
from images.node.slot_text import farm_file

LABEL = "NODEISO"
GRUB = Path("/usr/lib/grub")
BASE_LINE = "console=ttyS0 console=tty1 nomodeset panic=60"
EFI_SIZE = 4 << 20
TIMEOUT_S = 600

EMBEDDED = f"search --no-floppy --label {LABEL} --set=root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
MENU = f"""serial --unit=0 --speed=115200
terminal_output console serial
set farm=""
source /boot/grub/farm.cfg
echo "Grid node: $farm"
linux /boot/vmlinuz {BASE_LINE} $farm
initrd /boot/initrd
boot
"""
MODULES = (
    "normal", "configfile", "search", "search_label", "iso9660", "linux", "echo", "serial", "terminal", "test",
    "part_gpt", "part_msdos", "fat", "boot",
)  # fmt: skip


def build(work: Path, kernel: Path, initrd: Path, root_image: Path, target: Path, epoch: int) -> None:
    """Write the ISO.  Raises ImageError."""
    tree = work / "iso"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "boot/grub").mkdir(parents=True)
    (tree / "live").mkdir()
    shutil.copyfile(kernel, tree / "boot/vmlinuz")
    shutil.copyfile(initrd, tree / "boot/initrd")
    shutil.copyfile(root_image, tree / "live/root.img")
    (tree / "boot/grub/grub.cfg").write_text(MENU)
    (tree / "boot/grub/farm.cfg").write_bytes(farm_file())
    embedded = work / "embedded.cfg"
    embedded.write_text(EMBEDDED)

    def core(kind: str, name: Path, *more: str) -> None:
        run_tool(
            [
                "grub-mkimage",
                "-O",
                kind,
                "-p",
                "/boot/grub",
                "-c",
                str(embedded),
                "-o",
                str(name),
                *MODULES,
                *more,
            ],
            TIMEOUT_S,
        )

    core("i386-pc-eltorito", tree / "boot/grub/eltorito.img", "biosdisk")
    program = work / "BOOTX64.EFI"
    core("x86_64-efi", program, "efi_gop", "efi_uga")
    efi = work / "efi.img"
    efi.unlink(missing_ok=True)
    with efi.open("xb") as file:
        file.truncate(EFI_SIZE)
    fill_fat(efi, str(efi), EFI_SIZE // 512, {"EFI/BOOT/BOOTX64.EFI": program}, epoch, fat32=False)
    flatten_times(tree, epoch)
    target.unlink(missing_ok=True)
    run_tool(
        ["xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", LABEL,
         "--grub2-mbr", str(GRUB / "i386-pc/boot_hybrid.img"),
         "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
         "--grub2-boot-info", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::",
         "-no-emul-boot", "-append_partition", "2", "0xef", str(efi), "-appended_part_as_gpt",
         "--set_all_file_dates", "set_to_mtime", "-partition_offset", "16", "-o", str(target), str(tree)],
        TIMEOUT_S,
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    shutil.rmtree(tree)
