"""Which parts a grid has, in which order they start, and where each of them runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from devgrid import configs, genesis, layout, namespaces, virtual
from devgrid.bootstrap import cache_folder
from devgrid.farm import Farm
from devgrid.image_server import ImageServer
from devgrid.layout import GIB, GridLayout, NodeLayout
from devgrid.loop_device import LoopDevice, make_sparse
from devgrid.overlay import overlay_config
from devgrid.part import Part, PartSpec, accepts, accepts_unix, at_once
from devgrid.place import Here, Network, Node, Place
from devgrid.startup import Step

NODE_READY_S = 240.0
"""A node's first start registers it on the chain and probes the accelerator."""
MEMORY_SHARE = 0.8
MEMORY_FLOOR = 4 * GIB


class Plan:
    """The parts of one grid.  `steps` is what the supervisor runs; the rest is what it asks."""

    def __init__(self, grid: GridLayout) -> None:
        self.grid = grid
        self.parts: dict[str, Part] = {}
        self.farm = Farm(grid)
        self._programs = Path(sys.executable).parent
        self._loops: list[LoopDevice] = []
        self._images = ImageServer(cache_folder() / "rootfs")
        self._places: dict[str, Place] = {"grid": Here()}
        if grid.null:
            self._places |= {"client": Here(), **{node.name: Here() for node in grid.members}}
        else:
            self._places["inet"] = Network(layout.INTERNET_NAMESPACE)
            self._places["client"] = Network(layout.CLIENT_NAMESPACE)
            self._places |= {node.name: Node() for node in grid.members}

    def steps(self) -> list[Step]:
        """Every step of the start, each with those that it waits for."""
        grid = self.grid
        steps = [Step("keys", self._make_keys)]
        if not grid.null:
            steps += self._network_steps()
        steps.append(self._chain_step(("keys",) if grid.null else ("keys", "network")))
        steps.append(Step("farm and user", self.farm.ensure, ("chain",)))
        steps += self._client_steps()
        for node, before in zip(grid.members, (None, *grid.members), strict=False):
            steps += self._node_steps(node, before)
        last = f"{grid.members[-1].name} registered" if grid.members else "farm and user"
        for machine in grid.machines:
            after = ("network", "dhcp", "relay", "overlay", "farm and user", last)
            steps += virtual.steps(machine, self.farm, after, self._part, cache_folder())
            last = f"{machine.name} registered"
        return steps

    def place(self, name: str) -> Place:
        """Raises LookupError."""
        try:
            return self._places[name]
        except KeyError:
            raise LookupError(f"no place {name!r}; there are {', '.join(sorted(self._places))}") from None

    def describe_nodes(self) -> list[dict[str, Any]]:
        """For `zos grid status`."""
        return [
            {
                "name": node.name,
                "id": self.farm.nodes.get(node.name),
                "twin": self.farm.twins.get(node.name),
                "state": self.parts[f"{node.name}/zosd"].state,
                "address": self.farm.addresses.get(node.name),
                "disks": "null" if self.grid.null else " ".join(kind for _, kind in layout.NODE_DISKS),
            }
            for node in self.grid.members
        ] + [
            virtual.describe(node, self.farm, self.parts[f"{node.name}/machine"].state)
            for node in self.grid.machines
        ]

    async def stop(self) -> None:
        """Stop all parts side by side, the chain after the others; safe to repeat."""
        chain = self.parts.get("chain")
        await asyncio.gather(*(part.stop() for part in self.parts.values() if part is not chain))
        if chain is not None:
            await chain.stop()
        await self.farm.close()
        await self._images.close()

    # -- what every grid has ----------------------------------------------------------------------------------

    async def _make_keys(self) -> None:
        await asyncio.to_thread(genesis.prepare, self.grid)

    def _chain_step(self, after: tuple[str, ...]) -> Step:
        grid = self.grid
        return self._part(
            "chain",
            "grid",
            (self._own("tfchain-dev"), *genesis.chain_arguments(grid)),
            grid.logs / "chain.log",
            lambda: accepts(grid.chain_host, layout.CHAIN_PORT),
            after,
        )

    def _client_steps(self) -> list[Step]:
        grid = self.grid
        before = () if grid.null else ("client network",)

        async def configure() -> None:
            write_private(grid.client_folder / "rmb-peer.toml", configs.client_peer(grid, self._static()))

        steps = [
            *self._redis_steps("client", grid.client_run, grid.client_folder, before),
            Step("client/configuration", configure, ("farm and user",)),
            self._peer_step("client", grid.client_folder, ("client/redis", "client/configuration", "chain")),
        ]
        if not grid.null:
            steps += self._overlay_steps("client", "client", grid.client_folder, grid.user_key, before)
        return steps

    def _node_steps(self, node: NodeLayout, predecessor: NodeLayout | None) -> list[Step]:
        """Parts of one node.  Nodes register one after the other, so that `node-1` is node 1 of the chain."""
        name, grid = node.name, self.grid
        before = () if grid.null else (f"{name}/namespaces",)

        async def configure() -> None:
            loops = [] if grid.null else await asyncio.to_thread(self._attach_disks, node)
            text = configs.zosd(
                node,
                farm=self.farm.farm,
                disks=loops,
                guest=cache_folder() / "guest",
                memory=max(
                    MEMORY_FLOOR, int(psutil.virtual_memory().total * MEMORY_SHARE) // max(1, grid.nodes)
                ),
                processors=os.cpu_count() or 1,
            )
            write_private(node.folder / "zosd.toml", text)
            write_private(node.folder / "rmb-peer.toml", configs.node_peer(node, self._static()))

        async def registered() -> None:
            await self.farm.wait_for_registration(node, NODE_READY_S)

        async def answers() -> None:
            await self.farm.wait_for_answer(node, NODE_READY_S)

        return [
            *self._redis_steps(name, node.run, node.folder, before),
            Step(f"{name}/configuration", configure, ("farm and user", *before)),
            self._peer_step(name, node.folder, (f"{name}/redis", f"{name}/configuration")),
            self._part(
                f"{name}/zosd",
                name,
                (self._own("zosd"), "run", "--config", str(node.folder / "zosd.toml")),
                node.folder / "log/zosd.log",
                at_once,
                (
                    f"{name}/redis",
                    f"{name}/configuration",
                    *(() if grid.null else ("images", "overlay", "dhcp")),
                    *((f"{predecessor.name} registered",) if predecessor else ()),
                ),
            ),
            Step(f"{name} registered", registered, (f"{name}/zosd",)),
            Step(f"{name} answers", answers, (f"{name} registered", f"{name}/bus", "client/bus")),
        ]

    def _redis_steps(self, owner: str, run: Path, folder: Path, after: tuple[str, ...]) -> list[Step]:
        data, socket = folder / "redis", run / "redis.sock"

        async def folders() -> None:
            data.mkdir(parents=True, exist_ok=True)
            self.place(owner).path(run).mkdir(parents=True, exist_ok=True)

        return [
            Step(f"{owner}/folders", folders, ("keys", *after)),
            self._part(
                f"{owner}/redis",
                owner,
                configs.redis_command(socket, data),
                folder / "log/redis.log",
                lambda: accepts_unix(self.place(owner).path(socket)),
                (f"{owner}/folders",),
            ),
        ]

    def _peer_step(self, owner: str, folder: Path, after: tuple[str, ...]) -> Step:
        command = (self._own("rmb-peer"), "--config", str(folder / "rmb-peer.toml"))
        return self._part(f"{owner}/bus", owner, command, folder / "log/rmb-peer.log", at_once, after)

    def _static(self) -> dict[int, str]:
        """Twin → address, where no overlay leads there."""
        if not self.grid.null:
            return {}
        ports = {
            "user": configs.client_bus_port(),
            **{node.name: node.bus_port for node in self.grid.members},
        }
        return {self.farm.twins[name]: f"127.0.0.1:{port}" for name, port in ports.items()}

    # -- what a grid with namespaces has besides --------------------------------------------------------------

    def _network_steps(self) -> list[Step]:
        async def images() -> None:
            await self._images.start(str(layout.LAN_GATEWAY.ip), layout.IMAGE_PORT)

        steps = [
            Step("network", namespaces.make_lan),
            Step("client network", namespaces.make_client, ("network",)),
            Step("images", images, ("network",)),
            self._part(
                "dhcp",
                "grid",
                namespaces.dnsmasq_command(self.grid),
                self.grid.logs / "dnsmasq.log",
                at_once,
                ("network",),
            ),
            *self._overlay_steps("overlay", "grid", self.grid.folder / "overlay", None, ("network", "keys")),
            self._part(
                "relay",
                "grid",
                (self._own("rmb-relay"), *configs.relay_arguments(self.grid)),
                self.grid.logs / "relay.log",
                lambda: accepts(str(layout.LAN_GATEWAY.ip), layout.RELAY_PORT),
                ("network", "chain"),
            ),
            self._part(
                "front",
                "grid",
                (sys.executable, "-m", "devgrid.front", *configs.front_arguments(self.grid)),
                self.grid.logs / "front.log",
                lambda: accepts(str(layout.LAN_GATEWAY.ip), layout.FRONT_PORT),
                ("network", "chain", "relay"),
            ),
        ]
        for node in self.grid.members:
            steps.append(Step(f"{node.name}/namespaces", self._namespace_maker(node), ("network",)))
        return steps

    def _namespace_maker(self, node: NodeLayout) -> Callable[[], Awaitable[None]]:
        async def make() -> None:
            place = self.place(node.name)
            assert isinstance(place, Node)
            place.namespace = await namespaces.make_node(node)

        return make

    def _overlay_steps(
        self, name: str, place: str, folder: Path, key: Path | None, after: tuple[str, ...]
    ) -> list[Step]:
        """A Yggdrasil: the one that all others connect to (`key` None), or the client's."""
        file, part = folder / "yggdrasil.conf", name if key is None else f"{name}/overlay"

        async def configure() -> None:
            write_private(
                file, await asyncio.to_thread(overlay_config, key, self.grid.run / f"{name}-ygg.sock")
            )

        async def ready() -> bool:
            return key is not None or await accepts(str(layout.LAN_GATEWAY.ip), layout.YGGDRASIL_PORT)

        command = ("yggdrasil", "-loglevel", "warn", "-useconffile", str(file))
        return [
            Step(f"{part} configuration", configure, ("keys", *after)),
            self._part(
                part,
                place,
                command,
                self.grid.logs / f"{name}-yggdrasil.log",
                ready,
                (f"{part} configuration",),
            ),
        ]

    def _attach_disks(self, node: NodeLayout) -> list[tuple[Path, str]]:
        devices = []
        for backing, kind in node.disks:
            make_sparse(backing, layout.DISK_SIZE)
            device = LoopDevice.attach(backing)
            self._loops.append(device)
            devices.append((device.path, kind))
        return devices

    # -- small things -----------------------------------------------------------------------------------------

    def _own(self, script: str) -> str:
        return str(self._programs / script)

    def _part(
        self,
        name: str,
        place: str,
        words: Sequence[str],
        log: Path,
        ready: Callable[[], Awaitable[bool]],
        after: tuple[str, ...],
    ) -> Step:
        part = Part(PartSpec(name, lambda: self.place(place).command(words), log, ready))
        self.parts[name] = part
        return Step(name, part.start, after)


def write_private(path: Path, text: str) -> None:
    """Write a file for the eyes of its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
