"""What an administrator is shown of one machine.  Blocking calls; nothing is touched."""

from __future__ import annotations

from pathlib import Path

from provisioners.protocol import Check, Inspection
from provisioners.system import process
from provisioners.zmachine.place import Place
from provisioners.zmachine.record import MachineRecord
from provisioners.zmachine.specification import Specification
from provisioners.zmachine.status import GuestState, GuestStatus


def inspect(
    wanted: Specification,
    place: Place,
    record: MachineRecord | None,
    status: GuestStatus | None,
    disks: dict[str, Path],
    log_bytes: int,
) -> Inspection:
    """`disks`: the file of each zmount by name, as far as they were found."""
    return Inspection(
        info={"HtEnabled": False, "Memory": wanted.memory, "CPU": wanted.cpus},
        checks=(
            _config(record),
            _daemon(status),
            _process(place),
            _disks(wanted, disks),
            _shares(place, record.shares if record else 0),
        ),
        log=place.log.tail(log_bytes).decode(errors="replace"),
    )


def _config(record: MachineRecord | None) -> Check:
    if record is None:
        return Check("vm.config", False, "there is no owner file: the machine was never made")
    return Check("vm.config", True, "the owner file is there", {"network": record.network})


def _daemon(status: GuestStatus | None) -> Check:
    if status is None:
        return Check("vm.vmd", False, "the daemon does not watch this machine")
    good = status.state in (GuestState.RUNNING, GuestState.PAUSED) and status.error is None
    evidence = {"state": status.state.value, "restarts": str(status.restarts)}
    return Check("vm.vmd", good, status.error or status.state.value, evidence)


def _process(place: Place) -> Check:
    found = process.read_mark(place.qemu_mark)
    if found is None or not found.alive():
        return Check("vm.process", False, "no emulator runs for this machine")
    return Check("vm.process", True, "the emulator runs", {"pid": str(found.pid)})


def _disks(wanted: Specification, disks: dict[str, Path]) -> Check:
    missing = [disk.zmount.name for disk in wanted.disks if not _is_file(disks.get(disk.zmount.name))]
    if missing:
        return Check("vm.disks", False, f"disks are missing: {', '.join(missing)}")
    return Check("vm.disks", True, f"{len(wanted.disks)} disks are there")


def _shares(place: Place, shares: int) -> Check:
    for number in range(shares):
        found = process.read_mark(place.share_mark(number))
        if found is None or not found.alive():
            return Check("vm.virtiofs", False, f"server {number} of the root file system does not run")
    return Check("vm.virtiofs", True, f"{shares} servers run")


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()
