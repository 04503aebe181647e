"""Nodes of the grid that are virtual machines: what they are told, without starting one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from devgrid import virtual
from devgrid.layout import GridLayout
from images.boot.settings import load_modes, read_settings
from images.boot.sources import Source, merge
from images.testnode.keep import load


def test_a_machine_s_words_lead_it_into_the_grid(tmp_path: Path) -> None:
    grid = GridLayout(tmp_path, "dev", 1, qemu=2)
    line = virtual.command_line(grid, 3)
    found = read_settings(merge({Source.COMMAND_LINE: line}), load_modes())
    assert found.problems == ()
    assert (found.farm, found.mode, found.debug_vm) == (3, "dev", True)
    assert found.services.substrate == (grid.chain_url,)
    assert found.services.activation == (grid.activation_url,)
    assert found.hosts == (("relay.devgrid", "10.99.0.254"),)
    assert found.overlay_peers == ("tcp://10.99.0.254:9943",)


def test_machines_have_names_taps_and_disks_of_their_own(tmp_path: Path) -> None:
    grid = GridLayout(tmp_path, "dev", 0, qemu=2)
    assert [(node.name, node.tap) for node in grid.machines] == [("qemu-1", "vm1"), ("qemu-2", "vm2")]
    made = virtual.machine(grid.machines[0], tmp_path / "image", 1, "tcg")
    assert made.nics == ("vm1",)
    assert [disk.exists() for disk in made.disks] == [True, True]
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(asdict(made), default=str))
    assert load(file) == made


def test_a_grid_is_of_one_kind_at_least_and_null_has_no_machines(tmp_path: Path) -> None:
    for nodes, null, qemu in ((0, False, 0), (1, True, 1), (-1, False, 2), (20, False, 20)):
        with pytest.raises(ValueError, match=r"nodes|machines"):
            GridLayout(tmp_path, "dev", nodes, null, qemu)
