"""The grammar of the service's addresses: `/<format>/<run mode>[/<farm>[/<extra>[/<kernel>]]]`.  Pure.

As farmers know it from the grid's boot service: segments are positional, three underscores stand for a slash in
`extra`.  Everything is checked here, not in the page alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from images.node.slot_text import KERNEL_LIMIT, SlotTextError, check, words

RESERVED = frozenset({"farmer_id", "runmode", "node.image", "secret"})
"""Keys that an extra may not set: for a farm and a mode the first value wins, so it would be silently ignored."""
BASE_LENGTH = 120
"""Characters that every image's own command line and marker take at most."""
OCTETS = "application/octet-stream"
EFI_PROGRAM = "application/efi"
"""By this type a firmware's HTTP boot knows a program, as the address does not end with `.efi`."""


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of download."""

    name: str
    file: str
    """Artefact that is patched; "" for a script."""
    title: str
    firmware: str
    content_type: str = OCTETS


FORMATS = {
    each.name: each
    for each in (
        Format("uefimg", "node.img", "Disk image for a stick (recommended)", "UEFI"),
        Format("iso", "node.iso", "ISO for CD, stick or a remote console", "BIOS and UEFI"),
        Format("usb", "node.iso", "The same ISO, for a stick", "BIOS and UEFI"),
        Format("uefi", "node.efi", "One EFI program, also for HTTP boot", "UEFI", EFI_PROGRAM),
        Format("ipxe", "", "Script for iPXE", "any iPXE"),
        Format("krn", "vmlinuz", "Kernel alone; its initrd is /kernel/initrd", "any boot loader"),
    )
}


class AddressError(Exception):
    """An address that cannot be served; `status` is the HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wanted:
    format: Format
    mode: str
    farm: int = 0
    extra: str = ""

    @property
    def words(self) -> str:
        return words(self.mode, self.farm, self.extra)

    @property
    def name(self) -> str:
        """Name of the downloaded file."""
        farm = f"-farm{self.farm}" if self.farm else ""
        suffix = {"ipxe": "ipxe", "krn": "vmlinuz"}.get(self.format.name) or self.format.file.rpartition(".")[
            2
        ]
        return f"node-{self.mode}{farm}.{suffix}"


def parse(segments: Sequence[str], modes: Collection[str]) -> Wanted:
    """Read the decoded segments of a path.  Raises AddressError."""
    if not 2 <= len(segments) <= 5:
        raise AddressError(404, "an address is /<format>/<run mode>[/<farm>[/<extra>]]")
    format = FORMATS.get(segments[0])
    if format is None:
        raise AddressError(404, f"unknown format {segments[0][:30]!r}; there are {', '.join(FORMATS)}")
    if segments[1] not in modes:
        raise AddressError(401, f"unknown run mode {segments[1][:30]!r}; there are {', '.join(modes)}")
    farm = farm_number(segments[2]) if len(segments) > 2 else 0
    extra = extra_words(segments[3]) if len(segments) > 3 else ""
    if len(segments) == 5 and segments[4]:
        raise AddressError(404, f"there is no kernel {segments[4][:60]!r}: this service has one release")
    wanted = Wanted(format, segments[1], farm, extra)
    if len(wanted.words) + BASE_LENGTH > KERNEL_LIMIT:
        raise AddressError(400, f"too long: a kernel's command line has at most {KERNEL_LIMIT} characters")
    return wanted


def farm_number(text: str) -> int:
    """A farm's number.  Raises AddressError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 0 < int(text) < 1 << 32):
        raise AddressError(400, f"{text[:30]!r} is no farm: a number from 1 to 4294967295 is needed")
    return int(text)


def extra_words(text: str) -> str:
    """Further words for the node.  Raises AddressError."""
    extra = text.replace("___", "/").strip()
    try:
        check(extra, KERNEL_LIMIT)
    except SlotTextError as problem:
        raise AddressError(400, str(problem)) from None
    taken = sorted({word.partition("=")[0] for word in extra.split()} & RESERVED)
    if taken:
        raise AddressError(400, f"extra words may not set {', '.join(taken)}")
    return extra


def ipxe_script(wanted: Wanted, base: str, version: str) -> str:
    """The script for iPXE.  `base` is the service's own address, without a slash at the end."""
    farm = f"farm {wanted.farm}" if wanted.farm else "no farm"
    return f"""#!ipxe
echo Grid node {version}, {farm}, run mode {wanted.mode}
echo Words: {wanted.words}
set round:int32 0
:round
inc round
set nic:int32 -1
:next
inc nic
isset ${{net${{nic}}/mac}} || goto again
dhcp net${{nic}} || goto next
isset ${{net${{nic}}/ip}} || goto next
isset ${{net${{nic}}/dns}} || goto next
isset ${{net${{nic}}/gateway}} || goto next
echo Network card ${{nic}} ${{net${{nic}}/chip}}: ${{net${{nic}}/ip}} by ${{net${{nic}}/gateway}}
ntp pool.ntp.org ||
kernel {base}/kernel/vmlinuz initrd=initrd console=ttyS0 console=tty1 nomodeset panic=60 {wanted.words} || goto load
initrd --name initrd {base}/kernel/initrd || goto load
boot || goto start
:again
isset ${{net0/mac}} || goto card
iseq ${{round}} 3 || goto round
echo A network card is there, but no network gave it address, name server and gateway.
echo Check the cable and that the router answers DHCP in time.
goto wait
:card
echo No network card: enable it in the firmware, switch off CSM, allow network boot by UEFI.
goto wait
:load
echo The network is good, but the image could not be downloaded from {base}.
echo Show a picture of this screen to whoever runs that service.
goto wait
:start
echo The image was downloaded, but does not start here.
echo Show a picture of this screen to whoever runs the service.
:wait
sleep 20
reboot
"""
