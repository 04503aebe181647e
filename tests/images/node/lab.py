"""A chain, a relay, a farm and a user on loopback, and test nodes that join them from inside their machines."""

from __future__ import annotations

import asyncio
import mmap
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gridtypes import FarmId, NodeId, TwinId
from images.node.slot_text import patch, words
from images.testnode.arguments import Boot, TestNode, kernel_line
from images.testnode.machine import Machine, make_disk
from rmb import direct
from tests.tfchain.devchain.process import ChainProcess, free_port
from tfchain import Chain, governance
from tfchain.keys import Identity
from tfchain.models import Node

T = TypeVar("T")

RELAY = "relay.test"
HOST = "10.0.2.2"
"""The host, as a machine behind QEMU's own router sees it."""
GIB = 1 << 30
BOOT_S = 400.0
"""From power-on to a sentence on the console; a minute when the machine is quiet."""
REGISTER_S = 600.0
COUNCIL = (Identity("//Alice", "sr25519"), Identity("//Bob", "sr25519"))
"""Who decides on a development chain."""


class Lab:
    """Everything around the nodes.  Use `close`."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self.image = image
        self.chain = ChainProcess(folder)
        self.user = Identity.generate("ed25519")
        self.farmer = Identity.generate("ed25519")
        self.farm = FarmId(0)
        self.relay_port = free_port()
        self.machines: list[Machine] = []
        self._relay: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Chain, relay, and the people."""
        self.chain.start()
        with (self.folder / "relay.log").open("ab") as log:
            self._relay = subprocess.Popen(
                [sys.executable, "-m", "rmb.relay_cli", "--domain", RELAY, "--listen", f"127.0.0.1:{self.relay_port}",
                 "--substrate", self.chain.url, "--store", str(self.folder / "relay.db")],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.farm = asyncio.run(self._people())

    async def _people(self) -> FarmId:
        chain = Chain([self.chain.url])
        try:
            activation = f"http://127.0.0.1:{self.chain.port}/activation"
            for person in (self.farmer, self.user):
                await chain.ensure_account(person, activation)
                await chain.accept_terms(person, "http://test/terms", "0" * 32)
                await chain.create_twin(person, RELAY if person is self.user else None, None)
            return await chain.create_farm(self.farmer, "testfarm")
        finally:
            await chain.close()

    def close(self) -> None:
        """Everything off."""
        for machine in self.machines:
            machine.power_cut()
        if self._relay is not None:
            self._relay.terminate()
            self._relay.wait(30)
        self.chain.stop()

    def node(
        self, name: str, *, disks: int = 2, farm: int | None = None, boot: Boot = Boot.DIRECT, **more: Any
    ) -> Machine:
        """A machine with empty disks, not yet on."""
        folder = self.folder / name
        node = TestNode(
            name=name,
            folder=folder,
            image=self.image,
            boot=boot,
            disks=tuple(make_disk(folder / f"disk{number}.img", 120 * GIB) for number in range(disks)),
            command_line=kernel_line(
                self.farm if farm is None else farm, "dev", self.words, screen=more.get("screen", False)
            ),
            **more,
        )
        self.machines.append(Machine(node))
        return self.machines[-1]

    def medium(self, name: str, artefact: str, more: str = "") -> Path:
        """A medium with this lab's words and further ones in its farm slot, as a farmer downloads it."""
        target = self.folder / f"{name}-{artefact}"
        shutil.copyfile(self.image / artefact, target)
        text = words("dev", self.farm, f"zos-debug-vm {self.words} {more}".strip())
        with target.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
            change = patch(content, text)
            content[change.offset : change.offset + len(change.content)] = change.content
        return target

    def again(self, machine: Machine, **changes: Any) -> Machine:
        """The same machine with something changed, not yet on."""
        self.machines.append(Machine(replace(machine.node, **changes)))
        return self.machines[-1]

    @property
    def words(self) -> str:
        """What makes a node join this lab."""
        port = self.chain.port
        return (
            f"substrate=ws://{HOST}:{port} activation=http://{HOST}:{port}/activation "
            f"relay=ws://{RELAY}:{self.relay_port} node.host={RELAY},{HOST}"
        )

    def registered(self, limit: float = REGISTER_S, after: int = 0) -> tuple[NodeId, TwinId]:
        """Wait until the chain knows a node above number `after`; returns it and its twin."""

        async def look(chain: Chain) -> tuple[NodeId, TwinId] | None:
            for node in await chain.nodes():
                if node.id > after:
                    return node.id, node.twin_id
            return None

        return self._until(look, limit, "no node registered")

    def on_chain(self, node: NodeId) -> Node:
        """The node's object on the chain."""

        async def look(chain: Chain) -> Node | None:
            return await chain.node(node)

        return self._until(look, 60.0, f"node {node} is not on the chain")

    def newest(self) -> int:
        """Highest node number on the chain, 0 when there is none."""

        async def look(chain: Chain) -> int | None:
            return max((node.id for node in await chain.nodes()), default=0)

        return self._until(look, 60.0, "the chain does not answer")

    def version(self, twin: TwinId, limit: float = REGISTER_S) -> dict[str, Any]:
        """What the node answers to `zos.system.version` over the bus."""

        async def ask(chain: Chain) -> dict[str, Any] | None:
            mine = await chain.twin_by_account(self.user.public_key)
            found = await chain.twin(twin)
            assert mine is not None
            if found is None or not found.relay:
                return None
            url = f"ws://127.0.0.1:{self.relay_port}"
            async with direct.connect([url], chain, self.user, mine, session="lab") as bus:
                try:
                    answer: dict[str, Any] = await bus.call(twin, "zos.system.version", timeout=20)
                except Exception as problem:  # whatever the bus says, it is asked again
                    self.last = problem
                    return None
                return answer

        return self._until(ask, limit, f"twin {twin} does not answer")

    def another_farm(self) -> FarmId:
        """The farmer makes a further farm."""

        async def make() -> FarmId:
            async with Chain([self.chain.url]) as chain:
                return await chain.create_farm(self.farmer, f"farm-{time.time_ns()}")

        return asyncio.run(make())

    def approve(self, value: str) -> None:
        """Let the chain's council decide which release nodes may take."""

        async def decide() -> None:
            async with Chain([self.chain.url]) as chain:
                await chain.decide(COUNCIL, governance.set_zos_version(value))

        asyncio.run(decide())

    def _until(self, ask: Callable[[Chain], Awaitable[T | None]], limit: float, reason: str) -> T:
        async def wait() -> T:
            chain = Chain([self.chain.url])
            deadline = time.monotonic() + limit
            try:
                while (answer := await ask(chain)) is None:
                    if time.monotonic() > deadline:
                        ends = "\n".join(
                            "\n".join(machine.console().splitlines()[-25:]) for machine in self.machines
                        )
                        raise AssertionError(f"{reason} within {limit:.0f} s:\n{ends}")
                    await asyncio.sleep(1.0)
                return answer
            finally:
                await chain.close()

        return asyncio.run(wait())
