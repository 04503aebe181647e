"""A firmware that starts only what one certificate vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from devgrid.bootstrap import cache_folder
from images.node import signed_program, signer
from images.testnode.arguments import Boot
from tests.images import certificate
from tests.images.node import release
from tests.images.node.lab import BOOT_S, HOST, REGISTER_S, Lab

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(5400)]

REFUSED = "Access Denied"
"""What the firmware says on the console of a program that nobody vouches for."""


def signed_medium(
    lab: Lab, server: release.ReleaseServer, folder: Path, version: str, by: tuple[Path, Path]
) -> Path:
    """A signed disk whose node is offered a newer release; `by` is key and certificate."""
    server.folder = release.newer(lab.image, cache_folder() / release.KEY, folder / "newer", version)
    lab.approve(version)
    words = f"node.upgrade=http://{HOST}:{server.port} node.health=20"
    medium = folder / "signed.img"
    signed_program.sign(lab.medium(version, "node.efi", words), *by, medium)
    return medium


def test_unsigned_images_and_those_of_others_do_not_start(lab: Lab, tmp_path: Path) -> None:
    _, trusted, _ = certificate.make(tmp_path)
    foreign = certificate.make(tmp_path, "other")
    signed = tmp_path / "foreign.img"
    signed_program.sign(lab.image / "node.efi", foreign[0], foreign[1], signed)
    for name, medium in (("unsigned", lab.image / "node.img"), ("foreign", signed)):
        machine = lab.node(f"refused-{name}", disks=0, boot=Boot.UEFI, medium=medium, trusted=trusted)
        machine.up()
        machine.wait_for(REFUSED, BOOT_S)
        machine.power_cut()
        assert "stage 1" not in machine.console()


def test_a_signed_image_registers_and_stays_where_the_firmware_does_not_vouch_for_a_newer_kernel(
    lab: Lab, tmp_path: Path, server: release.ReleaseServer
) -> None:
    """Releases carry Debian's kernel with Debian's signature, and this firmware knows the farm's certificate alone."""
    key, trusted, _ = certificate.make(tmp_path)
    known = lab.newest()
    medium = signed_medium(lab, server, tmp_path, "9.8.7", (key, trusted))
    machine = lab.node("secure", boot=Boot.UEFI, medium=medium, trusted=trusted)
    machine.up()
    node, twin = lab.registered(after=known)
    machine.wait_off(REGISTER_S)  # into the newer one, which it has fetched
    assert lab.on_chain(node).secure_boot

    here = len(machine.console())
    machine.up()
    machine.wait_for("zos: error: the image of slot A cannot be entered: ", BOOT_S, here)
    machine.wait_for("Required key not available; with Secure Boot the firmware has to know", BOOT_S, here)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    assert lab.version(twin)["zos"] != "9.8.7"
    machine.power_cut()


def test_a_release_runs_where_the_firmware_knows_who_signed_its_kernel(
    lab: Lab, tmp_path: Path, server: release.ReleaseServer
) -> None:
    """The firmware's certificates are the farm's, for the medium, and that of Debian's kernels, for the slots."""
    key, farm, _ = certificate.make(tmp_path)
    debian, both = tmp_path / "debian.pem", tmp_path / "both.pem"
    signer.write(signer.certificates_of(lab.image / "vmlinuz"), debian)
    both.write_bytes(farm.read_bytes() + debian.read_bytes())
    known = lab.newest()
    medium = signed_medium(lab, server, tmp_path, "9.8.8", (key, farm))
    machine = lab.node("trusting", boot=Boot.UEFI, medium=medium, trusted=both)
    machine.up()
    node, twin = lab.registered(after=known)
    machine.wait_off(REGISTER_S)  # into the newer one, which it has fetched

    here = len(machine.console())
    machine.up()
    machine.wait_for("zos: image: slot A, on trial", BOOT_S, here)
    machine.wait_for("zos: image: slot A, good", REGISTER_S, here)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    assert "Kernel is locked down from EFI Secure Boot" in machine.console()[here:]
    assert lab.version(twin)["zos"] == "9.8.8"
    assert lab.on_chain(node).secure_boot
    machine.power_cut()
