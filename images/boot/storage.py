"""Stage `storage`: take the machine's disks, find the node's own place on them and its identity.

Blank disks become pools, pools are mounted, every other disk is named with the reason.  It goes on looking: a disk
that appears later is taken then.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

from images.boot import cache, given, lost_disks, seed_files, slot_entry, stage_file
from images.boot.bip39 import entropy
from images.boot.control import ControlError, ask
from images.boot.disks import DiskLine, PciDevice, driverless, is_disk, pretty_size, why_no_cache
from images.boot.identity import Verdict, choose
from images.boot.screen import MEDIUM
from images.boot.seed import SIZE, tag
from images.boot.settings import BootSettings
from images.boot.slot_store import SlotStore
from images.boot.stage_file import StageReport
from provisioners.system import block
from provisioners.system.blank_disk import why_not_blank
from provisioners.system.command import CommandFailed
from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools

POOLS = Path("/run/zos/pools")
KEY_FILE = Path("/run/zos/node.key")
CACHE_SEED = cache.POINT / "modules/identityd" / seed_files.NAME
LOOK_EVERY_S = 5.0
LONG_S = 600.0
WRITE_EVERY = 12
"""Looks between two tests whether the cache can be written."""
GROW_EVERY = 60
"""Looks between two looks at how full the cache is."""
VM_HARD_DISKS = ("vdd", "vde")
"""With `zos-debug-vm` these are hard disks and all others SSD."""


def main() -> None:
    """Look at disks until the node has a place and an identity, and go on looking."""
    asyncio.run(_run())


async def _run() -> None:
    disks, identity = StageReport("storage"), StageReport("identity")
    settings = given.settings()
    seen: list[str] | None = None
    done, rounds = False, 0
    folder: Path | None = None
    while True:
        names = disk_names()
        if names != seen or not done:
            if not done:  # nothing runs yet that could have files open there
                await lost_disks.let_go([POOLS, cache.POINT])
            folder = await _look(names, settings, disks)
            if folder is not None and seen is None and slot_entry.jump(settings, SlotStore()):
                await asyncio.sleep(LONG_S)  # the first process ends everything
            if folder is not None and (not done or names != seen):
                good = _identity(identity, settings)
                if good and done:
                    _tell_daemon()
                done = done or good
                if good:
                    disks.ready()
            seen = names
        rounds += 1
        if folder is not None and rounds % WRITE_EVERY == 0:
            trouble = await asyncio.to_thread(cache.why_not_writable, folder)
            stage_file.write("cache", {"state": trouble or "ok"})
        if folder is not None and rounds % GROW_EVERY == 0:
            try:
                await cache.grow(folder)
            except (CommandFailed, OSError) as problem:
                print(f"the cache could not grow: {problem}", flush=True)
        await asyncio.sleep(LOOK_EVERY_S)


def disk_names(folder: Path = Path("/sys/block")) -> list[str]:
    """Names of the machine's disks, with their sizes, so that a replaced one is a new one."""
    found = []
    for entry in sorted(folder.iterdir()):
        try:
            size = int((entry / "size").read_text())
        except (OSError, ValueError):
            continue
        if is_disk(entry.name) and size:
            found.append(entry.name)
    return found


async def _look(names: list[str], settings: BootSettings, report: StageReport) -> Path | None:
    """Take what can be taken; returns the cache's folder, or None when there is no place for one."""
    if not names:
        report.tell("working", "looking for disks")
    wanted = [DiskConfig(Path("/dev") / name, await _class_of(name, settings)) for name in names]
    pools = Pools(wanted, POOLS)
    await pools.ensure()
    lines = [
        DiskLine(
            str(pool.device), True, f"{pool.type.value} {pretty_size(pool.size)} used, pool {pool.name[:8]}"
        )
        for pool in pools.pools
    ]
    medium = boot_medium()
    lines += [
        DiskLine(
            str(disk.path),
            False,
            MEDIUM if disk.path.name == medium else f"left alone: {disk.reason}",
        )
        for disk in pools.refused
    ]
    lines.sort(key=lambda line: line.path)
    hidden = driverless(pci_devices())
    stage_file.write(
        "disks",
        {
            "disks": [[line.path, line.taken, line.text] for line in lines],
            "taken": [str(pool.device) for pool in pools.pools],
            "pools": {pool.name: str(pool.mount) for pool in pools.pools},
            "damaged": [str(disk.path) for disk in pools.refused if disk.damaged],
        },
    )
    places = cache.eligible(pools.pools, settings.missing_ssd)
    own = [line for line in lines if line.text != MEDIUM]
    reason = why_no_cache([pool.type.value for pool in pools.pools], settings.missing_ssd, own)
    if not places:
        text = "; ".join([reason, *hidden])
        stage_file.write("cache", {"state": reason})
        report.tell("working", "no place for the node's own data", text)
        return None
    try:
        folder = await cache.ensure(places)
    except (CommandFailed, OSError) as problem:
        stage_file.write("cache", {"state": str(problem)})
        report.tell("working", "the cache cannot be mounted", str(problem))
        return None
    stage_file.write("cache", {"state": "ok"})
    left = len(own) - len(pools.pools)
    text = f"{len(pools.pools)} disks used" + (f", {left} left alone" if left else "")
    report.tell("done", text, "; ".join(hidden))
    return folder


def boot_medium(how: Path = Path("/run/boot/how")) -> str:
    """Name of the disk that the root image was found on; "" when it came with the kernel."""
    try:
        name = how.read_text().split()[-1]
    except (OSError, IndexError):
        return ""
    parent = Path("/sys/class/block") / name
    return parent.resolve().parent.name if (parent / "partition").exists() else name


async def _class_of(name: str, settings: BootSettings) -> DiskClass | None:
    """What a virtual test node says of a blank disk; None: found out, or as it was stored."""
    if not settings.debug_vm:
        return None
    try:
        facts = await block.facts(Path("/dev") / name)
    except block.DeviceUnusable:
        return None
    if why_not_blank(facts) is not None:
        return None
    return DiskClass.HDD if name in VM_HARD_DISKS else DiskClass.SSD


def _identity(report: StageReport, settings: BootSettings) -> bool:
    """Decide on the identity and keep it everywhere; True when the node has one."""
    known = stage_file.read("disks")
    places = {"cache": CACHE_SEED}
    places |= {f"pool {name[:8]}": Path(mount) / seed_files.NAME for name, mount in known["pools"].items()}
    choice = choose(seed_files.read_all(places), entropy, known["damaged"])
    if choice.verdict in (Verdict.CONFLICT, Verdict.DAMAGED, Verdict.NO_DISK):
        report.tell("working", "no identity", choice.message)
        return False
    seed = choice.seed if choice.seed is not None else secrets.token_bytes(SIZE)
    failed = seed_files.apply(choice, seed, places)
    write_key(KEY_FILE, seed)
    stage_file.write("identity", {"tag": tag(seed), "source": choice.source or "new"})
    report.tell("done", choice.message, "; ".join(failed))
    return True


def write_key(file: Path, seed: bytes) -> None:
    """The key in the form that daemon and bus read, for root alone, in RAM."""
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(seed.hex())
    fresh.rename(file)


def pci_devices(folder: Path = Path("/sys/bus/pci/devices")) -> list[PciDevice]:
    """Every PCI device of the machine."""
    found = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        kind, vendor, device = ((entry / name).read_text().strip() for name in ("class", "vendor", "device"))
        driver = entry / "driver"
        found.append(
            PciDevice(entry.name, kind, vendor, device, driver.resolve().name if driver.exists() else "")
        )
    return found


def _tell_daemon() -> None:
    """A disk came or went: the daemon reads its configuration anew."""
    for unit in ("configure", "zosd"):
        try:
            ask({"do": "restart", "unit": unit})
        except ControlError as problem:
            print(problem, flush=True)


if __name__ == "__main__":
    main()
