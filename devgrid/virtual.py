"""Nodes of the grid that are virtual machines, booted from the image that farmers get."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devgrid import configs, layout, namespaces
from devgrid.farm import Farm
from devgrid.layout import GridLayout, VirtualLayout
from devgrid.startup import Step
from gridtypes import NodeId
from images.testnode.accelerator import choose
from images.testnode.arguments import TestNode, kernel_line
from images.testnode.machine import make_disk

READY_S = 900.0
"""Emulated on a busy machine, a node takes minutes from power-on to its registration."""
SSDS = 2


def command_line(grid: GridLayout, farm: int) -> str:
    """Words with which a node joins this grid."""
    gateway = layout.LAN_GATEWAY.ip
    return kernel_line(
        farm,
        "dev",
        f"substrate={grid.chain_url} activation={grid.activation_url} relay=ws://{layout.RELAY_HOST} "
        f"node.host={layout.RELAY_HOST},{gateway} node.peer={configs.overlay_peer()} node.images={gateway}",
    )


def machine(node: VirtualLayout, image: Path, farm: int, accelerator: str) -> TestNode:
    """The machine of a node, its card on the farm's switch."""
    return TestNode(
        name=node.name,
        folder=node.folder,
        image=image,
        disks=tuple(make_disk(node.folder / f"disk{number}.img", layout.DISK_SIZE) for number in range(SSDS)),
        nics=(node.tap,),
        command_line=command_line(node.grid, farm),
        accelerator=accelerator,
    )


async def prepare(node: VirtualLayout, image: Path, farm: int, accelerator: str) -> None:
    """Ensure tap, disks and the description that `images.testnode.keep` reads.  Raises CommandFailed, OSError."""
    node.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    await namespaces.ip_batch(
        [
            f"tuntap add dev {node.tap} mode tap",
            f"link set dev {node.tap} master {layout.LAN_BRIDGE}",
            f"link set dev {node.tap} up",
        ]
    )
    made = await asyncio.to_thread(machine, node, image, farm, accelerator)
    node.description.write_text(json.dumps(asdict(made), default=str))


def keeper(node: VirtualLayout) -> tuple[str, ...]:
    """The program that runs the machine and presses its power button when it is told to end."""
    return (sys.executable, "-m", "images.testnode.keep", str(node.description))


def steps(
    node: VirtualLayout, farm: Farm, after: tuple[str, ...], part: Callable[..., Step], cache: Path
) -> list[Step]:
    """Prepare, run, wait for the registration, wait for the answer.  `cache` holds the image."""
    name = node.name

    async def ready() -> None:
        accelerator = await asyncio.to_thread(choose, cache)
        await prepare(node, cache / "node/image", farm.farm, accelerator)

    async def registered() -> None:
        await wait_for_registration(node, farm)

    async def answers() -> None:
        await farm.wait_for_answer_of(name, READY_S)

    async def at_once() -> bool:
        return True

    return [
        Step(f"{name}/machine prepared", ready, after),
        part(
            f"{name}/machine",
            "grid",
            keeper(node),
            node.folder / "keeper.log",
            at_once,
            (f"{name}/machine prepared",),
        ),
        Step(f"{name} registered", registered, (f"{name}/machine",)),
        Step(f"{name} answers", answers, (f"{name} registered", "client/bus", "relay")),
    ]


async def wait_for_registration(node: VirtualLayout, farm: Farm) -> None:
    """The machine makes its own identity: the node that is new on the chain is it.  Raises NotReady."""
    kept = node.folder / "registered.json"
    known: NodeId | None = None
    if kept.exists():
        known = NodeId(int(json.loads(kept.read_text())["node"]))
    found = await farm.wait_for_new_node(node.name, known, READY_S)
    kept.write_text(json.dumps({"node": found}))


def describe(node: VirtualLayout, farm: Farm, state: str) -> dict[str, Any]:
    """For `zos grid status`."""
    return {
        "name": node.name,
        "id": farm.nodes.get(node.name),
        "twin": farm.twins.get(node.name),
        "state": state,
        "address": farm.addresses.get(node.name),
        "disks": " ".join(["ssd"] * SSDS) + " (QEMU)",
    }
