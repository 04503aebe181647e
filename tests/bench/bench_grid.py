"""A development grid: how long until it is up, from the call of `deploy` to a guest that answers, and what each
process holds of memory.

python -m tests.bench.bench_grid

Memory is the proportional set size (PSS) from `/proc/<pid>/smaps_rollup`: pages that processes share count once.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from client.grid_client import GridClient
from devgrid import preflight
from devgrid.launcher import Grid
from devgrid.layout import GridLayout
from gridtypes.results import PublicIPResult
from tests.grid.conftest import User
from tests.grid.files import one_node
from tests.grid.machine import Machine

SLEEP_S = 0.02


def memory(grid: Grid) -> dict[str, tuple[int, int]]:
    """MiB (own, with all children) of every part."""
    answer = grid.call({"do": "exec", "node": "grid", "command": ["sh", "-c", _LIST_MEMORY]})
    pss: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for line in str(answer["output"]).splitlines():
        pid, parent, kib = map(int, line.split())
        pss[pid] = kib
        children.setdefault(parent, []).append(pid)

    def whole(pid: int) -> int:
        return pss.get(pid, 0) + sum(map(whole, children.get(pid, ())))

    return {
        part["name"]: (pss.get(part["pid"], 0) >> 10, whole(part["pid"]) >> 10)
        for part in grid.status()["parts"]
        if part["pid"]
    }


_LIST_MEMORY = r"""
for folder in /proc/[0-9]*; do
  pss=$(sed -n 's/^Pss: *\([0-9]*\).*/\1/p' $folder/smaps_rollup 2>/dev/null)
  [ -n "$pss" ] || continue
  echo "${folder#/proc/} $(sed 's/.*) . \([0-9]*\) .*/\1/' $folder/stat) $pss"
done
exit 0
"""


async def deploy_to_answer(client: GridClient, user: User) -> tuple[float, float]:
    """Seconds from the call of `deploy` to its return, and to the first answer of the guest's public address."""
    started = time.monotonic()
    placed = await client.deploy(one_node("bench"))
    done = time.monotonic() - started
    front = next(one.deployment.find("front") for one in placed if one.deployment)
    assert front is not None
    result = front.load_result()
    assert isinstance(result, PublicIPResult)
    address = result.ip.partition("/")[0]
    await asyncio.to_thread(
        user.exec, "inet", "timeout", "50", "sh", "-c",
        f"until ping -qc1 -W1 {address} >/dev/null; do sleep {SLEEP_S}; done",
    )  # fmt: skip
    answered = time.monotonic() - started
    await client.cancel("bench")
    return done, answered


def demo() -> float:
    """Seconds of a demo with everything cached."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "devgrid.demo"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=True,
            env={**os.environ, "ZOS_GRID_STATE": folder, "ZOS_PROFILES": folder + "/profiles"},
        )
        return time.monotonic() - started


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        layout = GridLayout(Path(folder), "bench", 2)
        if missing := preflight.check(layout):
            print("left out, this machine lacks: " + "; ".join(map(str, missing)))
            return 0
        grid = Grid(layout)
        before = Machine.now()
        try:
            started = time.monotonic()
            grid.up(lambda progress: None, detach=False)
            up = time.monotonic() - started
            user = User(grid, before)
            idle = memory(grid)
            first = user.run(lambda client: deploy_to_answer(client, user))
            user.clear()
            second = user.run(lambda client: deploy_to_answer(client, user))
        finally:
            grid.purge()
    console = Console()
    times = Table("what", "seconds", title="grid of two nodes")
    times.add_row("up, from nothing", f"{up:.1f}")
    for name, (done, answered) in {"first": first, "second, image cached": second}.items():
        times.add_row(f"{name} deploy: call returns", f"{done:.1f}")
        times.add_row(f"{name} deploy: public address answers ping", f"{answered:.1f}")
    times.add_row("make demo, warm", f"{demo():.1f}")
    console.print(times)
    table = Table("process", "MiB", "with children", title="memory (PSS), idle")
    for name, (own, whole) in sorted(idle.items()):
        table.add_row(name, str(own), str(whole))
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
