"""An upgrade that becomes good, one that does not live, and who decides whether either is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devgrid.bootstrap import cache_folder
from gridtypes import NodeId, TwinId
from images.testnode.machine import Machine
from tests.images.node import release
from tests.images.node.lab import BOOT_S, HOST, REGISTER_S, Lab

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(5400)]

TRIES = 3
HEALTH_S = 20


def test_a_good_release_stays_and_one_that_does_not_live_is_left_after_three_tries(
    lab: Lab, image: Path, server: release.ReleaseServer, tmp_path: Path
) -> None:
    key, known = cache_folder() / release.KEY, lab.newest()
    good = release.newer(image, key, tmp_path / "good", "9.9.1")
    server.folder = good
    lab.approve(json.dumps({"version": "9.9.1", "version_light": "", "safe_to_upgrade": False}))
    machine = lab.node("upgraded")
    words = f"node.upgrade=http://{HOST}:{server.port} node.health={HEALTH_S}"
    machine = lab.again(machine, command_line=f"{machine.node.command_line} {words}")

    machine.up()
    node, twin = lab.registered(after=known)
    machine.wait_for("9.9.1 is offered, but not marked safe by the chain yet", REGISTER_S)
    lab.approve(json.dumps({"version": "9.9.1", "version_light": "", "safe_to_upgrade": True}))
    machine.wait_for("9.9.1 is in slot A and runs after the next restart", REGISTER_S)
    machine.wait_off(BOOT_S)  # nothing is deployed: it restarts by itself

    here = len(machine.console())
    machine.up()
    machine.wait_for("zos: image: slot A, on trial", BOOT_S, here)
    machine.wait_for("zos: image: slot A, good", REGISTER_S, here)
    assert lab.version(twin)["zos"] == "9.9.1"
    assert same_node(lab, machine, here) == (node, twin)

    server.folder = release.broken(image, key, tmp_path / "broken", "9.9.2")
    machine.wait_for("9.9.2 is in slot B and runs after the next restart", REGISTER_S, here)
    machine.wait_off(BOOT_S)
    for _ in range(TRIES):
        here = len(machine.console())
        machine.up()
        machine.wait_for("stage 1: 9.9.2 does not live", BOOT_S, here)
        machine.wait_off(BOOT_S)

    here = len(machine.console())
    machine.up()
    machine.wait_for(
        "image 9.9.2 in slot B was not healthy in 3 tries: back to 9.9.1 in slot A", BOOT_S, here
    )
    machine.wait_for("zos: image: slot A, good", BOOT_S, here)
    assert lab.version(twin)["zos"] == "9.9.1"
    assert same_node(lab, machine, here) == (node, twin)
    machine.power_cut()

    here = len(machine.console())
    machine = lab.again(machine, command_line=f"{machine.node.command_line} node.image=rescue")
    machine.up()
    assert same_node(lab, machine, here) == (node, twin)
    assert lab.version(twin)["zos"] not in ("9.9.1", "9.9.2")
    assert "zos: image: slot" not in machine.console()[here:]
    machine.power_cut()


def same_node(lab: Lab, machine: Machine, start: int) -> tuple[NodeId, TwinId]:
    """Number and twin that the screen shows behind position `start`; the chain has no younger node."""
    node = NodeId(lab.newest())
    twin = lab.on_chain(node).twin_id
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, start)
    return node, twin
