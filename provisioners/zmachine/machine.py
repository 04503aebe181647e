"""The running processes of one machine: QEMU and its file servers.  Acts, and decides nothing.

They live in sessions of their own and outlive the daemon.  They are found again by their marks, and whatever else
should be left by their control group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioners.protocol import GuestNic
from provisioners.system import process, qemu_arguments, virtiofsd
from provisioners.system.blocking import to_the_end
from provisioners.system.cgroup import Group, Limits
from provisioners.system.process import Launch, ProcessId
from provisioners.system.qemu_arguments import Accelerator, Drive, MachineParts, Nic, Share
from provisioners.system.qmp import GuestEnd, Qmp, QmpFailed
from provisioners.system.tap_queue import open_tap
from provisioners.system.virtiofsd import SharedFolder
from provisioners.zmachine import memory
from provisioners.zmachine.ending import Evidence
from provisioners.zmachine.guest_image import GuestImage
from provisioners.zmachine.place import Place, share_socket

CONTROL_LIMIT_S = 20.0
"""Time for QEMU to answer after its start; 0.1 s on an idle machine."""
POWER_BUTTON_LIMIT_S = 10.0
"""Time for a guest to switch itself off when it is asked to."""
POWER_BUTTON_INTERVAL_S = 1.0
QUIT_LIMIT_S = 2.0
SHARE_GRACE_S = 1.0
"""A file server ends by itself when QEMU does: time to see which of the two was first."""
OOM_SCORE = -200
"""The host should look elsewhere first; a machine has a limit of its own."""


@dataclass(frozen=True, slots=True)
class DiskFile:
    serial: str
    path: Path
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """What one start of a machine needs."""

    name: str
    cpus: int
    memory: int
    """Bytes that the guest sees."""
    accelerator: Accelerator
    image: GuestImage
    root: Path
    nics: Sequence[GuestNic]
    disks: Sequence[DiskFile]


class Machine:
    """One machine's processes, started or adopted.  Verbs must not overlap."""

    def __init__(self, place: Place, group: Group, user: int) -> None:
        self.place = place
        self.group = group
        self.started = time.monotonic()
        """When its QEMU was started, on the monotonic clock."""
        self._user = user
        self._qemu: ProcessId | None = None
        self._shares: list[ProcessId] = []
        self._children: list[subprocess.Popen[bytes]] = []
        self._qmp: Qmp | None = None
        self._guest_end: GuestEnd | None = None
        self._oom_kills = 0

    # -- start and adoption ----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Ensure the machine's folders."""
        self.place.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.place.own_folder.mkdir(exist_ok=True, mode=0o700)
        os.chown(self.place.own_folder, self._user, self._user)
        self.place.share_log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def start(self, build: Build) -> None:
        """Start everything.  Raises OSError or QmpFailed; then nothing runs."""
        await self.clear()
        self.prepare()
        try:
            limit = memory.limit(build.memory, build.accelerator)
            await to_the_end(lambda: self.group.ensure(Limits(limit, build.cpus)))
            self._oom_kills = self.group.oom_kills()
            await to_the_end(lambda: self._spawn(build))
            await self._control(CONTROL_LIMIT_S)
        except BaseException:
            await asyncio.shield(self.clear())
            raise

    async def adopt(self, shares: int) -> bool:
        """Take over what an earlier daemon started; False when it does not run as a whole."""
        qemu = process.read_mark(self.place.qemu_mark)
        servers = [process.read_mark(self.place.share_mark(number)) for number in range(shares)]
        found = [server for server in servers if server is not None and server.alive()]
        if qemu is None or not qemu.alive() or len(found) < shares:
            return False
        self._qemu, self._shares = qemu, found
        self._oom_kills = self.group.oom_kills()
        try:
            await self._control(CONTROL_LIMIT_S)
        except QmpFailed:
            return False
        self.started = time.monotonic() - qemu.age()
        return True

    # -- while it runs ---------------------------------------------------------------------------------------------

    @property
    def qmp(self) -> Qmp:
        """Raises QmpFailed when the machine does not run."""
        if self._qmp is None:
            raise QmpFailed("the machine does not run")
        return self._qmp

    async def wait_end(self) -> Evidence:
        """Wait until the machine has ended, by whichever of its processes, and take the rest away."""
        if self._qemu is None:
            raise QmpFailed("the machine was not started")
        waiting = [asyncio.create_task(one.wait()) for one in (self._qemu, *self._shares)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        lost_share = not await self._qemu.wait(SHARE_GRACE_S)
        if lost_share:
            self._qemu.signal(signal.SIGKILL)
            await self._qemu.wait(process.KILL_LIMIT_S)
        if self._qmp is not None:
            await self._qmp.wait_closed()
        await self._let_go()
        evidence = Evidence(
            guest_end=self._guest_end,
            exit_status=None if lost_share else self._exit_status(),
            out_of_memory=self.group.oom_kills() > self._oom_kills,
            lost_share=lost_share,
        )
        await self.clear()
        return evidence

    # -- end -------------------------------------------------------------------------------------------------------

    async def shut_down(self) -> None:
        """End the machine: ask the guest, then QEMU, then the kernel.  Safe to repeat."""
        qemu = self._qemu or process.read_mark(self.place.qemu_mark)
        if qemu is not None and qemu.alive():
            with contextlib.suppress(QmpFailed):
                if self._qmp is None:
                    await self._control(QUIT_LIMIT_S)
                if await self.qmp.status() == "running":
                    await self._press_power_button(qemu)
                if qemu.alive():
                    await self.qmp.quit()
                    await qemu.wait(QUIT_LIMIT_S)
        await self.clear()

    async def clear(self) -> None:
        """Kill whatever is left, and remove its group and marks.  Safe to repeat."""
        await self._let_go()
        places = [self.place.qemu_mark, *sorted(self.place.folder.glob("fs*.mark"))]
        for mark in places:
            left = process.read_mark(mark)
            if left is not None and left.alive():
                await process.end(left, grace=0)
        await to_the_end(self.group.kill_and_remove)
        for mark in places:
            mark.unlink(missing_ok=True)
        for child in self._children:
            child.poll()
        self._children = [child for child in self._children if child.returncode is None]
        self._qemu, self._shares = None, []

    async def release(self) -> None:
        """Let go of a machine that runs on; another daemon will adopt it."""
        await self._let_go()

    def remove_files(self) -> None:
        """Remove everything of the machine but its disks.  Safe to repeat."""
        shutil.rmtree(self.place.folder, ignore_errors=True)
        self.place.log.remove()
        self.place.share_log.unlink(missing_ok=True)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _control(self, timeout: float) -> None:
        qemu = self._qemu or process.read_mark(self.place.qemu_mark)
        alive: Callable[[], bool] = (lambda: False) if qemu is None else qemu.alive
        self._guest_end = None
        self._qmp = await Qmp.connect(self.place.qmp, timeout=timeout, alive=alive)

    async def _press_power_button(self, qemu: ProcessId) -> None:
        """Press until the guest ends: one that is still booting does not notice the first time."""
        deadline = time.monotonic() + POWER_BUTTON_LIMIT_S
        while time.monotonic() < deadline:
            await self.qmp.press_power_button()
            if await qemu.wait(POWER_BUTTON_INTERVAL_S):
                return

    async def _let_go(self) -> None:
        if self._qmp is not None:
            connection, self._qmp = self._qmp, None
            await connection.close()
            self._guest_end = connection.end

    def _exit_status(self) -> int | None:
        for child in self._children:
            if self._qemu is not None and child.pid == self._qemu.pid:
                return child.poll()
        return None

    def _spawn(self, build: Build) -> None:
        """Start the file server, then QEMU.  Blocks; every descriptor is closed again at the end."""
        self.place.qmp.unlink(missing_ok=True)
        self.place.console.unlink(missing_ok=True)
        with contextlib.ExitStack() as held:
            listener = held.enter_context(virtiofsd.listen(self.place.share_socket(0), self._user))
            share_output = _open(held, self.place.share_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            shared = SharedFolder(build.root, virtiofsd.Sharing.EXCLUSIVE)
            self._shares = [
                self._launch(
                    Launch(
                        command=virtiofsd.arguments(shared, listener.fileno()),
                        mark=self.place.share_mark(0),
                        groups=self.group.entrances(),
                        descriptors=[listener.fileno()],
                        oom_score=OOM_SCORE,
                    ),
                    share_output,
                )
            ]
            parts = self._parts(build, held)
            self._qemu = self._launch(
                Launch(
                    command=qemu_arguments.arguments(parts),
                    mark=self.place.qemu_mark,
                    groups=self.group.entrances(),
                    folder=self.place.own_folder,
                    user=self._user,
                    descriptors=parts.descriptors(),
                    oom_score=OOM_SCORE,
                ),
                parts.log,
            )
        self.started = time.monotonic()

    def _launch(self, launch: Launch, output: int) -> ProcessId:
        child = process.start(launch, output=output)
        self._children.append(child)
        return process.parse_stat(Path(f"/proc/{child.pid}/stat").read_text())

    def _parts(self, build: Build, held: contextlib.ExitStack) -> MachineParts:
        log = self.place.log.open()
        held.callback(os.close, log)
        return MachineParts(
            name=build.name,
            cpus=build.cpus,
            memory=build.memory,
            accelerator=build.accelerator,
            kernel=_open(held, build.image.kernel, os.O_RDONLY),
            initrd=_open(held, build.image.initrd, os.O_RDONLY),
            command_line=qemu_arguments.command_line(build.accelerator),
            log=log,
            drives=[_drive(held, disk) for disk in build.disks],
            shares=[Share(qemu_arguments.ROOT_TAG, share_socket(0))],
            nics=[_nic(held, nic) for nic in build.nics],
        )


def _open(held: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    held.callback(os.close, descriptor)
    return descriptor


def _drive(held: contextlib.ExitStack, disk: DiskFile) -> Drive:
    flags = os.O_RDONLY if disk.read_only else os.O_RDWR
    try:
        return Drive(disk.serial, _open(held, disk.path, flags | os.O_DIRECT), disk.read_only, direct=True)
    except OSError:
        # A file system without direct I/O, such as tmpfs; when something else is wrong, this open says so.
        return Drive(disk.serial, _open(held, disk.path, flags), disk.read_only, direct=False)


def _nic(held: contextlib.ExitStack, nic: GuestNic) -> Nic:
    descriptor = open_tap(nic.tap, nic.namespace)
    held.callback(os.close, descriptor)
    return Nic(descriptor, nic.mac)
