"""Power cuts: atomic snapshots of everything that a node keeps, taken at random moments and started anew.

    python -m tests.faults.power_cut FOLDER DEVICE SEED COUNT

In a mount namespace of its own.  DEVICE holds an empty btrfs; the node's folder is a subvolume of it, so that one
snapshot holds journal, owner files and acknowledgements of one instant.  Prints a JSON list of what went wrong.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.faults import harness, life
from tests.faults.harness import BY_NAME
from tests.faults.world import World
from zosd.points import nothing

LIVES = ("install", "update", "cancel", "restart")
AT_MOST = 12
"""Snapshots of one life."""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def main() -> None:
    folder, device, seed, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    disk, chance, wrong, done = folder / "disk", random.Random(seed), list[str](), 0
    disk.mkdir()
    run("mount", "-t", "btrfs", device, str(disk))
    good = {name: folder / "good" / name for name in LIVES}
    for name in LIVES:
        harness.points(BY_NAME[name], good[name])
    while done < count:
        name = chance.choice(LIVES)
        source = disk / f"life{done}"
        run("btrfs", "subvolume", "create", str(source))
        for number, snapshot in enumerate(_snapshots(name, source, chance)):
            done += 1
            if trouble := _again(name, snapshot, good[name]):
                wrong.append(f"seed {seed}, {name}, snapshot {number}: {trouble}")
            run("btrfs", "subvolume", "delete", str(snapshot))
            if done == count:
                break
    print(json.dumps({"cuts": done, "wrong": wrong}))


def _snapshots(name: str, source: Path, chance: random.Random) -> list[Path]:
    """Snapshots of one life of a daemon, taken while it works."""
    pid = os.fork()
    if pid == 0:
        code = life.WRONG
        try:
            code = life.live(source, BY_NAME[name], nothing)
        finally:
            os._exit(code)
    found = []
    while len(found) < AT_MOST and os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(chance.random() * 0.03)
        target = source.with_name(f"{source.name}.{len(found)}")
        run("btrfs", "subvolume", "snapshot", str(source), str(target))
        found.append(target)
    else:
        if len(found) == AT_MOST:
            os.waitpid(pid, 0)
    return found


def _again(name: str, snapshot: Path, good: Path) -> str:
    """Start the node from what the disk had; returns what is not as it should be."""
    scenario = BY_NAME[name]
    life.wipe(World(snapshot))
    for extra in ("log", "trouble"):
        (snapshot / extra).unlink(missing_ok=True)
    trouble = harness._to_the_end(snapshot, scenario, [nothing] * harness.MOST_LIVES)
    return trouble or harness._difference(life.outcome(good, False), life.outcome(snapshot, False))


if __name__ == "__main__":
    main()
