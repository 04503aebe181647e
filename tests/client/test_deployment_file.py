"""A deployment file is read, or refused with place, value and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import deployment_file
from client.deployment_file import DiskPart, InvalidFile, MachinePart, parse, parse_size
from gridtypes import GIB, MIB
from tests.client.files import PAIR, pair

EXAMPLE = Path(__file__).parents[2] / "docs/examples/two-nodes.yaml"


def test_the_example_of_the_manual_is_read() -> None:
    file = deployment_file.load(EXAMPLE)
    assert file.name == "two-nodes"
    assert file.labels == {"left": 1, "right": 2}
    assert [machine.name for machine in file.machines] == ["vm1", "vm2"]


def test_json_is_read_too() -> None:
    file = parse('{"name": "x", "workloads": [{"name": "d", "type": "zmount", "node": 1, "size": 5}]}')
    (disk,) = file.workloads
    assert isinstance(disk, DiskPart)
    assert disk.size == 5


def test_values_of_a_machine() -> None:
    machine = pair().machines[0]
    assert isinstance(machine, MachinePart)
    assert (machine.cpu, machine.memory, machine.mounts, machine.env) == (
        1,
        512 * MIB,
        {"data": "/data"},
        {"A": "b"},
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1 GiB", GIB),
        ("1.5GiB", 3 * GIB // 2),
        ("512 MiB", 512 * MIB),
        ("7", 7),
        ("7 B", 7),
        (9, 9),
        ("1 kib", 1024),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1 GB", "lots", "-1 GiB", "", "1 GiB more", True, "1e9"])
def test_what_is_no_size_is_shown_with_the_units(text: object) -> None:
    with pytest.raises(ValueError, match="KiB, MiB, GiB or TiB") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


def test_one_node_needs_no_mention() -> None:
    file = parse("name: x\nnodes: { only: 4 }\nworkloads: [{ name: d, type: zmount, size: 1 }]")
    assert file.labels == {"only": 4}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("size: 1 GiB", "size: 1 GB", ["workloads.0.zmount.size", "'1 GB' is not a size", "GiB"]),
        ("node: left, size", "node: lft, size", ["node of data", "no 'lft'", "there are: left, right"]),
        ("network: lan,", "network: wan,", ["network of vm1", "no 'wan'", "there are: lan"]),
        ("mounts: { data", "mounts: { dat", ["zmount of vm1", "no 'dat'", "there are: data"]),
        ("publicip: front", "publicip: frnt", ["publicip of vm1", "no 'frnt'", "there are: front"]),
        ("type: zmount", "type: zmout", ["workloads.0", "zmout", "'zmount'"]),
        ("name: vm2", "name: vm1", ["two things are named 'vm1'", "unique"]),
        ("name: vm2", "name: lan", ["two things are named 'lan'"]),
        ("name: vm2", "name: v-m", ["workloads.3.zmachine.name", "'v-m'"]),
        ("size: 1 GiB", "sise: 1 GiB", ["workloads.0.zmount.sise", "'1 GiB'"]),
        ("memory: 512 MiB, network: lan }", "network: lan }", ["workloads.3.zmachine.memory", "required"]),
        ("10.20.0.0/16", "10.20.0.0/28", ["networks.lan", "10.20.0.0/28", "/8 to /20"]),
        ("10.20.0.0/16", "10.20.0.1/16", ["networks.lan.range", "10.20.0.1/16"]),
        ("publicip, node: left", "publicip, node: right", ["front", "another node", "vm1"]),
        ("left: 1", "left: some", ["nodes.left", "'some'"]),
        ("name: pair", "name: a b", ["name", "'a b'"]),
    ],
)  # fmt: skip
def test_a_refusal_names_place_value_and_what_is_there(old: str, new: str, parts: list[str]) -> None:
    assert old in PAIR
    with pytest.raises(InvalidFile) as caught:
        parse(PAIR.replace(old, new, 1), "pair.yaml")
    text = str(caught.value)
    assert text.startswith("pair.yaml")
    for part in parts:
        assert part in text


def test_a_disk_serves_one_machine() -> None:
    text = PAIR.replace("node: right, image", "node: left, mounts: { data: /d }, image")
    with pytest.raises(InvalidFile, match="zmount 'data' is used by 'vm1' and by 'vm2'"):
        parse(text)


def test_with_several_nodes_each_workload_names_its_own() -> None:
    with pytest.raises(InvalidFile, match="node of 'data' is missing: the file names 2 nodes"):
        parse(PAIR.replace("node: left, size", "size", 1))


def test_several_mistakes_are_told_at_once() -> None:
    text = PAIR.replace("size: 1 GiB", "size: much").replace("name: pair", "name: ''")
    with pytest.raises(InvalidFile) as caught:
        parse(text)
    assert "size" in str(caught.value)
    assert "name" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "neither YAML nor JSON"),
        ("- a", "holds list"),
        ("", "holds NoneType"),
        ("hello", "holds str"),
    ],
)
def test_what_is_no_table_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidFile, match=reason):
        parse(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no.yaml"
    with pytest.raises(InvalidFile, match=r"cannot read .*no\.yaml"):
        deployment_file.load(missing)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidFile, match=r"cannot read .*bytes\.yaml"):
        deployment_file.load(tmp_path / "bytes.yaml")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_text("#" * (deployment_file.MAX_BYTES + 1))
    with pytest.raises(InvalidFile, match="larger than 1 MiB"):
        deployment_file.load(large)


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(InvalidFile, match="neither YAML nor JSON"):
        parse("name: !!python/object/apply:os.getcwd []")
