"""The daemon over real drivers: a node in namespaces of its own, disks on loop devices, a guest under QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devgrid.loop_device import LoopDevice, make_sparse
from gridtypes import Deployment, Workload
from rmb.redis_link import RedisAddress, RedisLink
from tests.host.network.lab import Lab, Node, open_lab
from tests.rmb.redis_server import redis_server
from tests.shared import PROJECT
from tests.zosd.parts import NODE, TWIN, Signer, deployment, machine, network, public_ip, zmount
from tests.zosd.test_process import Bus
from tfchain.keys import Identity
from zosd.chainlife.notes import IDS
from zosd.journal.changes import PutNote
from zosd.journal.journal import Journal

pytestmark = pytest.mark.root

CACHE = Path(os.environ.get("ZOS_CACHE", "/var/cache/zos"))
GUEST, IMAGE = CACHE / "guest", CACHE / "rootfs/demo.tar.gz"
ADDRESS = ("185.206.122.33/24", "185.206.122.1")
GIB = 1 << 30


class RealNode:
    """One node, its bus and the chain's file."""

    def __init__(
        self, node: Node, folder: Path, redis: str, disks: list[Path], run: Path | None = None
    ) -> None:
        self.node, self.folder, self.redis = node, folder, redis
        self.chain: dict[str, Any] = {
            "away": False,
            "keys": {str(TWIN): Signer().public_key.hex()},
            "contracts": {},
        }
        # Short: sockets lie in it.
        self.run = run or Path(tempfile.mkdtemp(prefix="z-"))
        self.run.chmod(0o711)
        (folder / "zosd.toml").write_text(
            f"""
            [paths]
            state = "{folder}/state"
            run = "{self.run}"
            [bus]
            redis = "unix://{redis}"
            [network]
            uplink = "eth0"
            [storage]
            disks = {json.dumps([str(disk) for disk in disks])}
            classes = {{ {", ".join(f'"{disk}" = "ssd"' for disk in disks)} }}
            [images]
            file_root = "{IMAGE.parent}"
            [machine]
            kernel = "{GUEST}/vmlinuz"
            initrd = "{GUEST}/initrd"
            """
        )
        self.write_chain()
        self.process: subprocess.Popen[bytes] | None = None

    def write_chain(self) -> None:
        """At once: the daemon may be reading."""
        fresh = self.folder / "chain.json.new"
        fresh.write_text(json.dumps(self.chain))
        os.rename(fresh, self.folder / "chain.json")

    def sign_up(self, wanted: Deployment, address: tuple[str, str] = ADDRESS) -> None:
        """Make the contract for it, with a public address and its gateway, or bring it to its hash."""
        self.chain["contracts"][str(wanted.contract_id)] = {
            "twin": wanted.twin_id,
            "node": NODE,
            "hash": wanted.challenge_hash().hex(),
            "addresses": [address],
        }
        self.write_chain()

    def start(self, **faults: str) -> None:
        """`faults`: keys of the section `faults`."""
        given = [f"ZOS_FAULTS_{key.upper()}={value}" for key, value in faults.items()]
        program = [sys.executable, "-m", "tests.host.zosd.program"]
        files = [str(self.folder / "zosd.toml"), str(self.folder / "chain.json")]
        log = (self.folder / "zosd.log").open("ab")
        self.process = subprocess.Popen(
            self.node.enter("env", f"PYTHONPATH={PROJECT}", *given, *program, *files), stderr=log, cwd=PROJECT
        )

    def leftovers_in_pools(self) -> list[str]:
        """Disks and root volumes; the pools are mounted in the node's own namespace."""
        return self.node.sh(
            f"ls -d {self.run}/pools/*/vdisks/* {self.run}/pools/*/rootfs:*", check=False
        ).split()

    def died(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def qemu(self) -> str:
        """Process id of the first machine, "" when none runs."""
        return self.node.sh("pgrep -f 'qemu-system-x86_6[4]' | head -1", check=False).strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon itself, not the program that entered the namespaces."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children or [str(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)
        self.process.wait(30)
        self.process = None

    def links(self) -> list[str]:
        """Namespaces and links of the node."""
        return self.node.sh("ls /run/netns; ip -o link | cut -d: -f2").split()

    def log(self) -> str:
        return (self.folder / "zosd.log").read_text()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as lab:
        yield lab
        for node in lab.nodes.values():
            node.agent.close()


@pytest.fixture
def real(lab: Lab, tmp_path: Path) -> Iterator[RealNode]:
    for needed in (GUEST / "manifest.json", IMAGE):
        if not needed.exists():
            pytest.skip(f"{needed} is missing: make setup")
    devices = []
    for number in range(3):
        backing = tmp_path / f"disk{number}"
        make_sparse(backing, 4 * GIB)
        devices.append(LoopDevice.attach(backing))
    subprocess.run(["mkfs.ext4", "-q", devices[-1].path], check=True, timeout=60)  # carries data
    folder = tmp_path / "real"
    folder.mkdir()
    with redis_server() as redis:
        node = RealNode(lab.add_node(1), folder, redis, [device.path for device in devices])
        try:
            yield node
        finally:
            node.stop(signal.SIGKILL)
            node.node.sh(
                f"for m in $(grep -o '{node.run}/pools/[^ ]*' /proc/self/mounts); do umount -l $m; done",
                check=False,
            )
            os.kill(lab.pid, 0)
            for device in devices:
                device.close()
            shutil.rmtree(node.run, ignore_errors=True)


async def until(condition: Callable[[], Any], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(what())
        await asyncio.sleep(0.2)


def guest(net: str = "net1") -> Workload:
    """A machine with disk, network and public address."""
    plain = machine("vm1", net, {"disk1": "/data"}, memory=256 << 20, public="ip1")
    return replace(
        plain, data=plain.data.replace(b"https://images.example/a.tar", f"file://{IMAGE}".encode())
    )


def wanted(contract: int = 1000) -> Deployment:
    return deployment(
        network("net1"), zmount("disk1", 256 << 20), public_ip("ip1"), guest(), contract=contract
    )


async def prepared(real: RealNode) -> Bus:
    """Registered in an earlier life, and a way to call it."""
    key = Identity.load_or_generate(real.folder / "state" / "key")
    journal = Journal(real.folder / "state" / "journal.db")
    await journal.open()
    await journal.commit("x", [PutNote(IDS, json.dumps([NODE, 1, key.public_key.hex()]).encode())])
    await journal.close()
    return Bus(RedisLink(RedisAddress.parse(real.redis)))


async def serving(real: RealNode, bus: Bus) -> None:
    async def there() -> bool:
        assert not real.died(), real.log()
        return bool(await bus.link.command("EXISTS", "msgbus.router.zos"))

    await until(there, 60, real.log)


async def states(bus: Bus, contract: int) -> dict[str, str]:
    shown = await bus.call("zos.deployment.get", {"contract_id": contract})
    return {one["name"]: one["result"]["state"] for one in shown["workloads"]}


async def all_good(real: RealNode, bus: Bus, contract: int) -> None:
    async def good() -> bool:
        return set((await states(bus, contract)).values()) == {"ok"}

    deadline = time.monotonic() + 60
    while not await good():
        shown = await bus.call("zos.deployment.changes", {"contract_id": contract})
        assert time.monotonic() < deadline, json.dumps(shown, indent=1) + real.log()
        await asyncio.sleep(0.3)


async def all_gone(real: RealNode, bus: Bus) -> None:
    """The contract ends while the daemon is down, as the comparison would find it."""
    real.stop()
    await _leave(real)
    await bus.link.command("DEL", "msgbus.router.zos")
    real.start()
    await serving(real, bus)

    async def gone() -> bool:
        return await bus.call("zos.deployment.list") == []

    await until(gone, 60, real.log)


async def test_life_of_a_deployment(real: RealNode) -> None:
    bus = await prepared(real)
    real.start()
    await serving(real, bus)
    before = real.links()
    features = await bus.call("zos.system.node_features_get")
    assert {"zmachine", "network", "zmount", "ip"} <= set(features)
    assert {"tcg", "kvm"} & set(features)
    assert len(await bus.call("zos.storage.pools")) == 2
    (alone,) = await bus.call("zos.storage.left_alone")
    assert "ext4" in alone["reason"]
    interfaces = await bus.call("zos.network.interfaces")
    assert interfaces["zos"][0].startswith("10.99.1.")

    deploy = wanted()
    real.sign_up(deploy)
    await bus.call("zos.deployment.deploy", raw=deploy.to_json())

    await all_good(real, bus, 1000)
    shown = await bus.call("zos.deployment.get", {"contract_id": 1000})
    results = {one["name"]: one["result"]["data"] for one in shown["workloads"]}
    assert results["ip1"]["ip"] == ADDRESS[0]
    assert results["vm1"]["ip"] == "10.1.2.5"
    assert await bus.call("zos.network.list_public_ips") == [ADDRESS[0]]
    assert 6000 in await bus.call("zos.network.list_wg_ports")
    statistics = await bus.call("zos.statistics.get")
    assert statistics["used"]["mru"] == statistics["system"]["mru"] + (256 << 20)

    guest = real.qemu()
    assert guest
    # Killed and started again: the same machine, and no new record.
    count = len(await bus.call("zos.deployment.changes", {"contract_id": 1000}))
    real.stop(signal.SIGKILL)
    await bus.link.command("DEL", "msgbus.router.zos")
    real.start()
    await serving(real, bus)
    await all_good(real, bus, 1000)
    assert real.qemu() == guest
    assert len(await bus.call("zos.deployment.changes", {"contract_id": 1000})) == count

    # Stopped in good order it leaves the machine alone, too; when the contract ends nothing is left.
    real.stop()
    assert real.qemu() == guest
    real.start()
    await all_gone(real, bus)
    assert real.qemu() == ""
    assert real.links() == before
    await bus.link.close()


async def test_killed_in_the_middle_of_an_install_of_each_type(real: RealNode) -> None:
    bus = await prepared(real)
    real.start()
    await serving(real, bus)
    before = real.links()
    contract = 1000
    for type in ("zmount", "network", "ip", "zmachine"):
        for fault in ({"kill_at": f"{type}.provision.end"}, {"record": f"{real.folder}/points-{type}"}):
            contract += 1
            real.stop()
            await bus.link.command("FLUSHALL")
            real.start(**fault)
            await serving(real, bus)
            deploy = wanted(contract)
            real.sign_up(deploy)
            await bus.call("zos.deployment.deploy", raw=deploy.to_json())
            if "record" in fault:
                begun = f"{type}.provision.begin"
                file = Path(fault["record"])
                await until(_async(lambda f=file, b=begun: b in f.read_text()), 60, real.log)
                await asyncio.sleep(0.03)
                real.stop(signal.SIGKILL)
            else:
                await until(_async(real.died), 60, real.log)
            await bus.link.command("FLUSHALL")
            real.start()
            await serving(real, bus)
            await all_good(real, bus, contract)
            await all_gone(real, bus)
            assert real.qemu() == "", (type, fault)
            assert real.links() == before, (type, fault)
            owners = list((real.folder / "state" / "owners").rglob("*.json"))
            assert owners == [], (type, fault)
            assert real.leftovers_in_pools() == []
    await bus.link.close()


def _async(condition: Callable[[], Any]) -> Callable[[], Any]:
    async def ask() -> Any:
        return condition()

    return ask


async def _leave(real: RealNode) -> None:
    """What the chain's side would have written down."""
    from zosd.accept import drafts

    journal = Journal(real.folder / "state" / "journal.db")
    await journal.open()
    (record,) = journal.ledger.all()
    await journal.commit("leave", drafts.leave(record, "contract canceled event received", time.time()))
    await journal.close()
