"""The verbs of workload type `zmachine`: a virtual machine in container mode (`vm.md` part A, `vm-qemu.md`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import structlog

from gridtypes import WorkloadId, WorkloadType
from gridtypes.results import ZMachineResult
from provisioners.protocol import Context, Inspection, NodePaths, OwnerFile, PlacedWorkload, WorkloadError
from provisioners.system import accelerator, cgroup, console_server
from provisioners.system.accelerator import Verdict
from provisioners.system.blocking import to_the_end
from provisioners.system.cgroup import Group, Layout
from provisioners.system.command import CommandFailed
from provisioners.system.console import Console
from provisioners.system.console_server import ConsoleServer, console_port
from provisioners.system.keyed_locks import KeyedLocks
from provisioners.system.qmp import QmpFailed
from provisioners.zmachine import attachments, config_disk, inspection, memory
from provisioners.zmachine.attachments import Attachments
from provisioners.zmachine.ending import last_words
from provisioners.zmachine.guest_config import GuestConfig, Mount
from provisioners.zmachine.guest_image import GuestImage
from provisioners.zmachine.keeper import EXCERPT_BYTES, Keeper
from provisioners.zmachine.machine import Build, DiskFile, Machine
from provisioners.zmachine.place import Place
from provisioners.zmachine.record import MachineRecord, UnknownProtocol
from provisioners.zmachine.root import ensure_root
from provisioners.zmachine.specification import Specification, specification
from provisioners.zmachine.status import GuestState, GuestStatus

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Kept:
    """A machine that this daemon watches."""

    machine: Machine
    keeper: Keeper
    console: Console
    server: ConsoleServer | None = None


class ZMachineProvisioner:
    """Runs machines under QEMU.

    Beside the verbs the daemon may ask for `status(id)`, and sets `changed` to be told of every change: a machine
    that ends is started again here, without the daemon's doing.  `close` before the daemon ends; machines go on.
    """

    type = WorkloadType.ZMACHINE

    def __init__(self, image: GuestImage, verdict: Verdict, groups: Layout) -> None:
        """See `open`, which finds out what the machine offers."""
        self.accelerator = verdict
        self.groups = groups
        self.changed: Callable[[GuestStatus], None] = lambda status: None
        """Called on the event loop, must not block.  An `error` in the status belongs into the workload's result."""
        self._image = image
        self._kept: dict[WorkloadId, _Kept] = {}
        self._foreign: dict[WorkloadId, GuestStatus] = {}
        self._locks = KeyedLocks()

    @classmethod
    async def open(cls, paths: NodePaths, guest_folder: Path) -> Self:
        """Load the guest kernel, and probe accelerator and control groups.  Raises GuestImageMissing."""
        image = GuestImage.load(guest_folder)
        verdict = await accelerator.choose(image.kernel, image.initrd, paths.cache / "accelerator.json")
        groups = await to_the_end(cgroup.probe)
        log.info(
            "machines", accelerator=verdict.accelerator.value, reason=verdict.reason, groups=groups.value
        )
        return cls(image, verdict, groups)

    @property
    def overhead(self) -> int:
        """Bytes of the host's memory that each machine takes beside what its deployment asks for."""
        return memory.overhead(self.accelerator.accelerator)

    # -- verbs -----------------------------------------------------------------------------------------------------

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> ZMachineResult:
        """Ensure that the machine runs.  Raises WorkloadError, also while it waits for its next start."""
        wanted = specification(workload)
        async with self._locks(str(wanted.id)):
            owner = ctx.owner_file(wanted.id, self.type)
            record = _read(owner) or MachineRecord.new(wanted)
            kept = self._kept.get(wanted.id)
            if kept is not None and kept.keeper.status.state is GuestState.WAITING:
                raise WorkloadError(kept.keeper.status.error or "the machine is being started again")
            result = record.result_data
            if result is not None and (kept is not None or await self._adopt(ctx, wanted, record)):
                return result
            record.write(owner)
            return await self._install(ctx, wanted, record)

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> ZMachineResult | None:
        """Adopt the machine if it runs as a whole; it is not touched."""
        owner = ctx.owner_file(workload.id, self.type)
        async with self._locks(str(workload.id)):
            try:
                record = MachineRecord.read(owner)
            except UnknownProtocol as error:
                return self._leave_alone(workload.id, owner.read() or {}, str(error))
            if record is None or record.result_data is None:
                return None
            adopted = await self._adopt(ctx, specification(workload), record)
            return record.result_data if adopted else None

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        """Shut the machine down and take everything of it away but its disks, which are workloads of their own."""
        async with self._locks(str(workload)):
            owner = ctx.owner_file(workload, self.type)
            record = _read(owner)
            if record is None:
                return
            kept = self._kept.pop(workload, None)
            if kept is not None:
                await kept.keeper.stop()
                await _close_console(kept)
            machine = kept.machine if kept else self._machine(ctx, record)
            await machine.shut_down()
            await attachments.detach(ctx, record)
            await ctx.roots.delete(workload)
            machine.remove_files()
            owner.remove()

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        return ctx.owned(self.type)

    async def pause(self, ctx: Context, workload: WorkloadId) -> None:
        """Stop the guest's processors; its memory stays.  A machine that waits for a start stays down."""
        await self._set_paused(ctx, workload, paused=True)

    async def resume(self, ctx: Context, workload: WorkloadId) -> None:
        await self._set_paused(ctx, workload, paused=False)

    async def inspect(self, ctx: Context, workload: PlacedWorkload, log_bytes: int) -> Inspection:
        wanted = specification(workload)
        record = _read(ctx.owner_file(workload.id, self.type))
        disks: dict[str, Path] = {}
        for disk in wanted.disks:
            with contextlib.suppress(WorkloadError):
                disks[str(disk.zmount.name)] = (await ctx.disk(disk.zmount)).path
        place, status = Place.of(ctx.paths, workload.id), self.status(workload.id)
        return await to_the_end(lambda: inspection.inspect(wanted, place, record, status, disks, log_bytes))

    # -- for the daemon --------------------------------------------------------------------------------------------

    def status(self, workload: WorkloadId) -> GuestStatus | None:
        """How a machine is now; None when it is not known here."""
        kept = self._kept.get(workload)
        return kept.keeper.status if kept else self._foreign.get(workload)

    async def close(self) -> None:
        """Let go of every machine; they run on, and the next daemon recovers them."""
        for kept in self._kept.values():
            await kept.keeper.stop()
            await _close_console(kept)
            await kept.machine.release()
        self._kept.clear()

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _install(self, ctx: Context, wanted: Specification, record: MachineRecord) -> ZMachineResult:
        machine = self._machine(ctx, record)
        console = Console(machine.place.log)
        connected = await attachments.attach(ctx, wanted)
        result = connected.result(wanted)
        # Before the start: a machine that runs can be adopted from the first moment on.
        replace(record, paused=False, result=result.model_dump()).write(ctx.owner_file(wanted.id, self.type))
        await self._start(ctx, wanted, machine, console, connected)
        await self._keep(ctx, wanted, machine, console, paused=False)
        return result

    async def _start(
        self,
        ctx: Context,
        wanted: Specification,
        machine: Machine,
        console: Console,
        connected: Attachments,
    ) -> None:
        """Make the machine, from whatever is there.  Raises WorkloadError."""
        disks = [DiskFile(disk.serial, (await ctx.disk(disk.zmount)).path) for disk in wanted.disks]
        root = await ensure_root(ctx, wanted.id, wanted.image, wanted.root_size)
        try:
            machine.prepare()
            await config_disk.write(_guest_config(wanted, connected), machine.place.config_disk)
            seed = DiskFile(config_disk.SERIAL, machine.place.config_disk, read_only=True)
            await machine.start(
                Build(
                    name=str(wanted.id),
                    cpus=wanted.cpus,
                    memory=wanted.memory,
                    accelerator=self.accelerator.accelerator,
                    image=self._image,
                    root=root,
                    nics=connected.nics,
                    disks=[*disks, seed],
                )
            )
            await console.attach(machine.place.console)
        except (OSError, QmpFailed, CommandFailed, TimeoutError) as error:
            words = last_words(machine.place.log.tail(EXCERPT_BYTES))
            message = f"the machine did not start: {error}"
            raise WorkloadError(f"{message}. Last lines: {words}" if words else message) from error

    async def _adopt(self, ctx: Context, wanted: Specification, record: MachineRecord) -> bool:
        machine = self._machine(ctx, record)
        if not await machine.adopt(record.shares):
            return False
        console = Console(machine.place.log)
        try:
            paused = await machine.qmp.status() == "paused"
            await console.attach(machine.place.console)
        except (OSError, QmpFailed, TimeoutError) as error:
            log.warning("machine runs without its console", workload=str(wanted.id), reason=str(error))
            paused = record.paused
        await self._keep(ctx, wanted, machine, console, paused=paused)
        log.info("machine adopted", workload=str(wanted.id), age=round(time.monotonic() - machine.started))
        return True

    async def _keep(
        self, ctx: Context, wanted: Specification, machine: Machine, console: Console, *, paused: bool
    ) -> None:
        async def start_again() -> None:
            await self._start(ctx, wanted, machine, console, await attachments.attach(ctx, wanted))
            if kept.server is None:
                kept.server = await _serve(ctx, wanted, console)

        keeper = Keeper(wanted.id, machine, start_again, lambda status: self.changed(status))
        kept = self._kept[wanted.id] = _Kept(machine, keeper, console)
        kept.server = await _serve(ctx, wanted, console)
        keeper.begin(paused=paused)

    async def _set_paused(self, ctx: Context, workload: WorkloadId, *, paused: bool) -> None:
        async with self._locks(str(workload)):
            owner = ctx.owner_file(workload, self.type)
            record, kept = _read(owner), self._kept.get(workload)
            if record is None or kept is None:
                raise WorkloadError(f"machine '{workload}' does not exist")
            try:
                if kept.keeper.status.state is not GuestState.WAITING:
                    await (kept.machine.qmp.pause() if paused else kept.machine.qmp.resume())
            except QmpFailed as error:
                raise WorkloadError(
                    f"the machine could not be {'paused' if paused else 'resumed'}: {error}"
                ) from error
            replace(record, paused=paused).write(owner)
            if paused:
                kept.keeper.paused()
            else:
                kept.keeper.resumed()

    def _machine(self, ctx: Context, record: MachineRecord) -> Machine:
        place = Place.of(ctx.paths, record.workload)
        return Machine(place, Group(record.group, self.groups), record.user)

    def _leave_alone(self, id: WorkloadId, raw: dict[str, object], why: str) -> ZMachineResult:
        log.warning("machine of another version", workload=str(id), reason=why)
        self._foreign[id] = GuestStatus(id, GuestState.FOREIGN, since=0.0, error=None)
        result = raw.get("result")
        return (
            ZMachineResult.model_validate(result) if isinstance(result, dict) else ZMachineResult(id=str(id))
        )


def _read(owner: OwnerFile) -> MachineRecord | None:
    try:
        return MachineRecord.read(owner)
    except UnknownProtocol as error:
        raise WorkloadError(str(error)) from error


def _guest_config(wanted: Specification, connected: Attachments) -> GuestConfig:
    return GuestConfig(
        id=str(wanted.id),
        hostname=wanted.id.name,
        nics=connected.nics,
        public=connected.public,
        mounts=tuple(Mount(disk.serial, disk.target) for disk in wanted.disks),
        ssh_keys=wanted.ssh_keys,
        environment=wanted.environment,
        command=wanted.command,
    )


async def _serve(ctx: Context, wanted: Specification, console: Console) -> ConsoleServer | None:
    """The console over the network; None, with a line in the log, when it cannot listen: the machine runs anyhow."""
    port = console_port(wanted.address)
    try:
        network = await ctx.network(wanted.id.twin, wanted.network)
        listener = await to_the_end(lambda: console_server.listen(network.namespace, network.gateway, port))
    except (OSError, WorkloadError) as error:
        log.warning("console cannot be reached", workload=str(wanted.id), port=port, reason=str(error))
        return None
    server = ConsoleServer(console, listener)
    await server.start()
    return server


async def _close_console(kept: _Kept) -> None:
    if kept.server is not None:
        await kept.server.close()
    await kept.console.close()
