"""Machines that end, by themselves or by force, and come back."""

from __future__ import annotations

import asyncio
import signal

import pytest

from gridtypes import WorkloadId
from provisioners.system import process
from provisioners.system.cgroup import Group
from provisioners.zmachine import GuestState, GuestStatus, ZMachineProvisioner
from provisioners.zmachine.place import Place
from provisioners.zmachine.record import MachineRecord
from tests.host.zmachine.lab import MIB, Lab, machine, workload_id
from tests.host.zmachine.terminal import terminal

pytestmark = pytest.mark.root


class Diary:
    """Everything that a provisioner said about its machines."""

    def __init__(self, provisioner: ZMachineProvisioner) -> None:
        self.entries: list[GuestStatus] = []
        self._news = asyncio.Event()
        provisioner.changed = self._note

    def _note(self, status: GuestStatus) -> None:
        self.entries.append(status)
        self._news.set()

    async def next(self, state: GuestState, timeout: float = 40) -> GuestStatus:
        """Wait for the next entry with this state; earlier ones are forgotten."""
        async with asyncio.timeout(timeout):
            while True:
                while self.entries:
                    entry = self.entries.pop(0)
                    if entry.state is state:
                        return entry
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def diary(provisioner: ZMachineProvisioner) -> Diary:
    return Diary(provisioner)


async def test_a_killed_machine_comes_back_with_what_it_kept(
    lab: Lab, provisioner: ZMachineProvisioner, diary: Diary
) -> None:
    lab.make_disk(workload_id("disk"))
    wanted = machine("vm6", mounts=[("disk", "/data")])
    result = await provisioner.provision(lab, wanted)
    async with terminal(lab.bridge.namespace, result.console_url) as user:
        await user.wait_for("vm6 is up")
        await user.ask("echo precious >/data/file; echo also >/root/file; sync")
        _kill(Place.of(lab.paths, wanted.id), "qemu.mark")

        waiting = await diary.next(GuestState.WAITING)
        assert "QEMU ended with signal SIGKILL" in (waiting.error or "")
        assert waiting.failures == 1
        assert waiting.next_try is not None
        back = await diary.next(GuestState.RUNNING)
        assert back.restarts == 1
        assert back.error == waiting.error  # until it has run for a while
        user.seen = b""
        await user.wait_for("vm6 is up")  # the same connection goes on
        assert await user.ask("cat /data/file /root/file") == "precious\nalso"

        _kill(Place.of(lab.paths, wanted.id), "fs0.mark")
        assert "file server" in ((await diary.next(GuestState.WAITING)).error or "")
        await diary.next(GuestState.RUNNING)
        user.seen = b""
        await user.wait_for("vm6 is up")
        assert await user.ask("cat /data/file") == "precious"


async def test_ways_in_which_a_guest_ends_are_told_apart(
    lab: Lab, provisioner: ZMachineProvisioner, diary: Diary
) -> None:
    wanted = machine("vm7")
    result = await provisioner.provision(lab, wanted)
    async with terminal(lab.bridge.namespace, result.console_url) as user:
        await user.wait_for("vm7 is up")
        await user.type("poweroff -f\n")
        switched_off = await diary.next(GuestState.WAITING)
        assert switched_off.error is None
        await diary.next(GuestState.RUNNING)

        user.seen = b""
        await user.wait_for("vm7 is up")
        await user.type("echo last words; sleep 1; echo c >/proc/sysrq-trigger\n")
        panic = await diary.next(GuestState.WAITING)
        assert "kernel or first process failed" in (panic.error or "")
        assert "last words" in (panic.error or "")
        assert "Kernel panic" in (panic.error or "")
        await diary.next(GuestState.RUNNING)

        user.seen = b""
        await user.wait_for("vm7 is up")
        _leave_room(lab, provisioner, wanted.id, 8 * MIB)
        await user.type("dd if=/dev/zero of=/dev/shm/hog bs=1M count=90\n")
        starved = await diary.next(GuestState.WAITING)
        assert "out of memory" in (starved.error or "")


async def test_a_command_that_does_not_exist_is_named(
    lab: Lab, provisioner: ZMachineProvisioner, diary: Diary
) -> None:
    wanted = machine("vm8", entrypoint="/sbin/nothing here")
    await provisioner.provision(lab, wanted)
    failed = await diary.next(GuestState.WAITING)
    assert "/sbin/nothing" in (failed.error or "")
    await provisioner.deprovision(lab, wanted.id)


def _kill(place: Place, mark: str) -> None:
    found = process.read_mark(place.folder / mark)
    assert found is not None
    found.signal(signal.SIGKILL)


def _leave_room(lab: Lab, provisioner: ZMachineProvisioner, id: WorkloadId, size: int) -> None:
    """Take memory away from the machine's group, all but `size` bytes above what it uses."""
    record = MachineRecord.read(lab.owner_file(id, provisioner.type))
    assert record is not None
    group = Group(record.group, provisioner.groups)
    limit = str(group.memory_used() + size)
    for folder in group.folders():
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).exists():
                (folder / name).write_text(limit)
