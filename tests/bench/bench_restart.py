"""Restart of the daemon with about 1,000 and 10,000 workloads: until all is adopted, and nothing is left to do.

python -m tests.bench.bench_restart [DEPLOYMENTS ...]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench_accept import made, quiet
from tests.zosd.parts import FakeChain, daemon

COUNTS = (334, 3334)
"""Deployments of three workloads."""


@dataclass(frozen=True)
class Times:
    """Seconds."""

    load: float
    adopted: float
    settled: float
    after_reboot: float


async def fill(folder: Path, count: int) -> FakeChain:
    async with daemon(folder) as node:
        node.node.total = type(node.node.total)(cru=1024, mru=1 << 50, sru=1 << 50, hru=1 << 50)
        node.node.free_ssd = 1 << 50
        for one in made(count):
            node.chain.sign_up(one)
            await node.deploy(one)
        await node.settled(900)
        return node.chain


async def restart(folder: Path, chain: FakeChain) -> tuple[float, float, float]:
    start = time.perf_counter()
    async with daemon(folder, chain, start=False) as node:
        loaded = time.perf_counter() - start
        await node.engine.start()
        await node.engine.adopted.wait()
        adopted = time.perf_counter() - start
        await asyncio.sleep(0)
        await node.settled(900)
        return loaded, adopted, time.perf_counter() - start


async def measure(count: int) -> Times:
    quiet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chain = await fill(folder, count)
        load, adopted, settled = await restart(folder, chain)
        for file in (folder / "run").rglob("*.json"):
            file.unlink()
        _, _, after_reboot = await restart(folder, chain)
    return Times(load, adopted, settled, after_reboot)


def main() -> None:
    for count in [int(word) for word in sys.argv[1:]] or COUNTS:
        times = asyncio.run(measure(count))
        print(f"restart with {count} deployments, {3 * count} workloads", flush=True)
        print(f"  journal loaded             {times.load * 1000:8.0f} ms")
        print(f"  everything adopted         {times.adopted * 1000:8.0f} ms")
        print(f"  nothing left to do         {times.settled * 1000:8.0f} ms")
        print(f"  after a reboot, all again  {times.after_reboot * 1000:8.0f} ms", flush=True)


if __name__ == "__main__":
    main()
