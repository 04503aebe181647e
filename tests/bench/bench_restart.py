"""Restart of the daemon with 334 deployments (1,002 workloads): until all is adopted, and nothing is left to do.

python -m tests.bench.bench_restart [COUNT]
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

COUNT = 334


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


async def measure(count: int = COUNT) -> Times:
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
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    times = asyncio.run(measure(count))
    print(f"restart with {count} deployments of 3 workloads")
    print(f"  journal loaded             {times.load * 1000:8.0f} ms")
    print(f"  everything adopted         {times.adopted * 1000:8.0f} ms")
    print(f"  nothing left to do         {times.settled * 1000:8.0f} ms")
    print(f"  after a reboot, all again  {times.after_reboot * 1000:8.0f} ms")


if __name__ == "__main__":
    main()
