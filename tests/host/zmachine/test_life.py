"""One machine from its start to its end, as its user and as the host see it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from provisioners.protocol import WorkloadError
from provisioners.system import process
from provisioners.system.cgroup import Group
from provisioners.zmachine import ZMachineProvisioner, memory
from provisioners.zmachine.place import Place
from provisioners.zmachine.record import USER_BASE, MachineRecord
from tests.host.zmachine.lab import GATEWAY, GUEST, MIB, Lab, machine, workload_id
from tests.host.zmachine.terminal import session, terminal

pytestmark = pytest.mark.root

HOSTILE = 'it\'s "quoted" $HOME `id` \\ and\nends here'


async def test_a_machine_is_what_its_deployment_says(lab: Lab, provisioner: ZMachineProvisioner) -> None:
    lab.make_disk(workload_id("first"))
    lab.make_disk(workload_id("second"))
    wanted = machine(
        "vm1",
        mounts=[("second", "/srv/deep/er"), ("first", "/data")],
        entrypoint="/sbin/zinit 'one word' \"$two\"",
        env={"HOSTILE": HOSTILE, "SSH_KEY": "ssh-ed25519 AAAAC3Nz me@here"},
    )
    result = await provisioner.provision(lab, wanted)
    assert (result.id, result.ip, result.console_url) == ("7-1000-vm1", "10.20.2.7", f"{GATEWAY}:20007")
    assert await provisioner.inventory(lab) == {wanted.id}

    async with terminal(lab.bridge.namespace, result.console_url) as user:
        await user.wait_for("vm1 is up")
        assert await asyncio.to_thread(lab.answers, "10.20.2.7")
        assert await asyncio.to_thread(lab.answers, "fd00:20:2::7")
        assert await user.ask("hostname") == "vm1"
        assert await user.ask('printf "%s" "$HOSTILE"') == HOSTILE
        assert await user.ask("tr '\\0' '|' </proc/1/cmdline") == "/bin/sh|/sbin/zinit|one word|$two|"
        assert await user.ask("cat /root/.ssh/authorized_keys") == "ssh-ed25519 AAAAC3Nz me@here"
        assert "nameserver 8.8.8.8" in await user.ask("cat /etc/resolv.conf")
        assert "via 10.20.2.1" in await user.ask("ip route show default")
        mounts = await user.ask("mount | grep ext4")
        assert "on /srv/deep/er " in mounts
        assert "on /data " in mounts
        assert await user.ask("cat /sys/block/vda/serial") == "zm0"
        first_disk = lab.disks[workload_id("first")]
        await user.ask("echo kept >/data/file; sync")
        assert b"kept\n" in await asyncio.to_thread(first_disk.read_bytes)

        assert "This is vm1" in await _page(lab, "http://10.20.2.7/")
        await _two_people_share_the_console(lab, result.console_url)

    _is_confined(lab, provisioner, wanted.id.unique("vm"))
    await provisioner.deprovision(lab, wanted.id)
    assert lab.leftovers() == []
    assert await provisioner.inventory(lab) == set()
    await provisioner.deprovision(lab, wanted.id)


async def _page(lab: Lab, url: str) -> str:
    async with session(lab.bridge.namespace) as client, client.get(url) as answer:
        return await answer.text()


async def _two_people_share_the_console(lab: Lab, url: str) -> None:
    assert "<pre id=" in await _page(lab, f"http://{url}/")
    async with terminal(lab.bridge.namespace, url) as one, terminal(lab.bridge.namespace, url) as other:
        await one.wait_for("vm1 is up")  # history
        pasted = "".join(f"{number:063}\n" for number in range(16))
        await one.type(f"cat >/tmp/paste <<'.'\n{pasted}.\n")
        assert await one.ask("cat /tmp/paste") == pasted.strip()
        await other.wait_for(pasted.splitlines()[-1])
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        async with terminal(lab.bridge.namespace, url, Origin="http://elsewhere.example"):
            pass


def _is_confined(lab: Lab, provisioner: ZMachineProvisioner, unique: str) -> None:
    qemu = process.read_mark(lab.paths.run / "vm" / unique / "qemu.mark")
    assert qemu is not None
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{qemu.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    uids = {int(uid) for uid in status["Uid"].split()}
    assert len(uids) == 1
    assert uids.pop() >= USER_BASE
    assert status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    record = MachineRecord.read(lab.owner_file(workload_id("vm1"), provisioner.type))
    assert record is not None
    group = Group(record.group, provisioner.groups)
    assert qemu.pid in group.pids()
    assert len(group.pids()) == 3  # QEMU and the two processes of virtiofsd
    expected = memory.limit(256 * MIB, provisioner.accelerator.accelerator)
    assert {int(file.read_text()) for file in _memory_limits(group)} == {expected}
    assert group.memory_used() < expected


def _memory_limits(group: Group) -> list[Path]:
    names = ("memory.max", "memory.limit_in_bytes")
    return [folder / name for folder in group.folders() for name in names if (folder / name).exists()]


async def test_a_new_daemon_adopts_what_runs(lab: Lab, provisioner: ZMachineProvisioner) -> None:
    wanted = machine("vm2", address="10.20.2.9")
    result = await provisioner.provision(lab, wanted)
    async with terminal(lab.bridge.namespace, result.console_url) as user:
        await user.wait_for("vm2 is up")
        await user.ask("echo before")
    mark = Place.of(lab.paths, wanted.id).qemu_mark
    before = process.read_mark(mark)

    await provisioner.close()  # as a daemon that is killed does, except that its sockets are closed for it
    await asyncio.to_thread(lab.answers, "10.20.2.9")
    successor = await ZMachineProvisioner.open(lab.paths, GUEST)
    try:
        assert await successor.recover(lab, wanted) == result
        assert await successor.provision(lab, wanted) == result
        assert process.read_mark(mark) == before
        async with terminal(lab.bridge.namespace, result.console_url) as user:
            await user.wait_for("before")
            assert await user.ask("echo after") == "after"

        await successor.pause(lab, wanted.id)
        assert str(successor.status(wanted.id).state.value) == "paused"  # type: ignore[union-attr]
        assert not _answers_now(lab, "10.20.2.9")
        await successor.resume(lab, wanted.id)
        assert await asyncio.to_thread(lab.answers, "10.20.2.9")
    finally:
        await successor.close()


def _answers_now(lab: Lab, address: str) -> bool:
    return "1 received" in lab.inside("ping", "-c1", "-W1", address, check=False)


async def test_a_machine_of_another_version_is_left_running(
    lab: Lab, provisioner: ZMachineProvisioner
) -> None:
    wanted = machine("vm3")
    owner = lab.owner_file(wanted.id, provisioner.type)
    result = await provisioner.provision(lab, wanted)
    record = owner.read()
    assert record is not None
    await provisioner.close()
    owner.write({**record, "protocol": 99})
    try:
        assert await provisioner.recover(lab, wanted) == result
        with pytest.raises(WorkloadError, match=r"protocol 99.*left running"):
            await provisioner.deprovision(lab, wanted.id)
        with pytest.raises(WorkloadError, match="protocol 99"):
            await provisioner.provision(lab, wanted)
        mark = process.read_mark(Place.of(lab.paths, wanted.id).qemu_mark)
        assert mark is not None
        assert mark.alive()
    finally:
        owner.write(record)


async def test_what_cannot_be_made_says_why_and_leaves_nothing(
    lab: Lab, provisioner: ZMachineProvisioner
) -> None:
    for wanted, reason in (
        (machine("vm4", image="file:///nowhere/image.tar.gz"), "Image not found at file:///nowhere"),
        (machine("vm4", mounts=[("nodisk", "/data")]), "disk 'nodisk' is not on this node"),
        (machine("vm4", mounts=[("disk", "data")]), "mount point 'data' has to be an absolute path"),
        (machine("vm4", entrypoint="/bin/sh 'open"), "invalid entrypoint"),
    ):
        with pytest.raises(WorkloadError, match=reason):
            await provisioner.provision(lab, wanted)
        await provisioner.deprovision(lab, wanted.id)
        assert lab.leftovers() == []


async def test_what_a_killed_daemon_left_half_made_is_cleared(
    lab: Lab, provisioner: ZMachineProvisioner
) -> None:
    wanted = machine("vm5")
    await provisioner.provision(lab, wanted)
    place = Place.of(lab.paths, wanted.id)
    half = process.read_mark(place.qemu_mark)
    assert half is not None
    await provisioner.close()
    place.qemu_mark.unlink()  # only the control group knows of it now
    successor = await ZMachineProvisioner.open(lab.paths, GUEST)
    try:
        assert await successor.recover(lab, wanted) is None
        await successor.provision(lab, wanted)
        assert not half.alive()
        assert process.read_mark(place.qemu_mark) != half
        assert os.path.exists(place.qmp)
        await successor.deprovision(lab, wanted.id)
    finally:
        await successor.close()
