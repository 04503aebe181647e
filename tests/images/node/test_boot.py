"""From power-on to a registered node that answers, and what a power cut leaves."""

from __future__ import annotations

import pytest

from tests.images.node.lab import BOOT_S, REGISTER_S, Lab

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]


CPU = "EPYC,svm=off"
"""Without virtualisation: once in some hundred boots QEMU's emulation of it locks a processor up for ever, when the
node tries whether machines run.  Where machines run inside, in `test_workloads`, and in all other boots it is on."""


def test_a_node_registers_answers_and_is_the_same_after_a_power_cut(lab: Lab) -> None:
    machine = lab.node("first", cpu=CPU)
    machine.up()
    machine.wait_for("zos: network: eth0", BOOT_S)
    machine.wait_for("identity: a new identity", BOOT_S)
    node, twin = lab.registered()
    assert lab.version(twin)["zos"]
    here = machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S)
    shown = machine.console()
    assert f"zos: farm {lab.farm} (command line)" in shown
    assert "zos: run mode dev (command line)" in shown
    assert "zos: cache OK" in shown

    machine.power_cut()
    machine.up()
    machine.wait_for("identity: identity from cache", BOOT_S, here)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    machine.down()
    assert "all units have ended" in machine.console()[here:]
