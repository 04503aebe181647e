"""Graphics cards, as the kernel lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridtypes import WorkloadType
from tests.zosd.parts import daemon, deployment, network, raw
from zosd.api.gpu import taken_gpus
from zosd.gpus import list_gpus

NAMES = """# a list
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t731f  Navi 10
\t\t1043 04e2  ROG STRIX
10de  NVIDIA Corporation
\t731f  another vendor's
"""


def card(folder: Path, slot: str, **files: str) -> None:
    (folder / slot).mkdir(parents=True)
    for name, text in files.items():
        (folder / slot / name).write_text(text + "\n")


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    folder = tmp_path / "devices"
    window = "0x0000000000000000 0x000000000000ffff 0x0000000000000101\n0xe0000000 0xefffffff 0x14220c"
    whole = {"vendor": "0x1002", "device": "0x731f", "class": "0x030000", "resource": window}
    card(folder, "0000:28:00.0", **whole, subsystem_vendor="0x1043", subsystem_device="0x04e2")
    card(folder, "0000:00:02.0", **whole)  # integrated
    card(folder, "0000:29:00.0", **{**whole, "class": "0x030200"})  # no display
    card(folder, "0000:2a:00.0", **{**whole, "vendor": "0x8086"})  # another vendor
    return folder


def test_only_cards_that_can_be_passed_on(devices: Path, tmp_path: Path) -> None:
    names = tmp_path / "pci.ids"
    names.write_text(NAMES)
    (gpu,) = list_gpus(devices, names)
    assert gpu.id == "0000:28:00.0/1002/731f"
    assert gpu.vendor == "Advanced Micro Devices, Inc. [AMD/ATI]"
    assert gpu.device == "ROG STRIX"
    assert gpu.window == 256


def test_without_names_and_without_a_bus(devices: Path, tmp_path: Path) -> None:
    assert [gpu.device for gpu in list_gpus(devices, tmp_path / "none")] == ["unknown"]
    assert list_gpus(tmp_path / "nowhere") == []


async def test_a_card_is_taken_as_long_as_its_deployment(tmp_path: Path) -> None:
    data = (
        '{"flist":"https://x.example/a","network":{"public_ip":"","planetary":false,"interfaces":'
        '[{"network":"net1","ip":"10.1.2.5"}]},"size":0,"compute_capacity":{"cpu":1,"memory":1073741824},'
        '"mounts":[],"entrypoint":"","env":{},"gpu":["0000:28:00.0/1002/731f"]}'
    )
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(deployment(network(), raw("vm1", WorkloadType.ZMACHINE, data)))
        await node.settled()
        assert taken_gpus(node.journal.ledger) == {"0000:28:00.0/1002/731f": key.contract}
        await node.orders.leave(key, "over")
        await node.until(lambda: not len(node.journal.ledger))
        assert taken_gpus(node.journal.ledger) == {}
