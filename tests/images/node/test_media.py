"""Every way in which a farmer can boot, until the node is registered and answers."""

from __future__ import annotations

import hashlib

import pytest

from images.testnode.arguments import Boot
from tests.images.node.lab import REGISTER_S, Lab

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    ("boot", "artefact"),
    [(Boot.INITRD, ""), (Boot.UEFI, "node.img"), (Boot.ISO, "node.iso"), (Boot.ISO_UEFI, "node.iso")],
)
def test_a_node_registers_from_every_medium_and_never_writes_it(lab: Lab, boot: Boot, artefact: str) -> None:
    medium = lab.medium(boot.value, artefact) if artefact else None
    before = hashlib.sha256(medium.read_bytes()).digest() if medium else b""
    known = lab.newest()
    machine = lab.node(boot.value, boot=boot, medium=medium)
    machine.up()
    node, twin = lab.registered(after=known)
    assert lab.version(twin)["zos"]
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S)
    assert f"zos: farm {lab.farm} (command line)" in machine.console()
    machine.down()
    if medium:
        assert hashlib.sha256(medium.read_bytes()).digest() == before
