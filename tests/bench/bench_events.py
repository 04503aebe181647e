"""Catching up with the chain's events after a day away: 14,400 blocks of six seconds, most of them empty.

python -m tests.bench.bench_events [BLOCKS]
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bench_accept import quiet
from tests.zosd.test_with_chain import ChainProcess
from tfchain import Chain

BLOCKS = 14_400
AT_ONCE = 1_000


class Memory:
    """A cursor at the beginning."""

    def __init__(self) -> None:
        self.number = 0

    def load(self) -> int:
        return self.number

    def save(self, number: int) -> None:
        self.number = number


async def catch_up(url: str, last: int) -> tuple[float, int]:
    """Seconds, and events seen."""
    start, events = time.perf_counter(), 0
    async with Chain([url]) as chain:
        async for block in chain.events(Memory()):
            events += len(block.events)
            if block.number >= last:
                break
    return time.perf_counter() - start, events


def main() -> None:
    quiet()
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = ChainProcess(Path(folder), port, "--dev", "--no-billing")
        process.start()
        try:
            process.wait()
            for done in range(0, blocks, AT_ONCE):
                process.rpc("dev_newBlock", {"count": min(AT_ONCE, blocks - done), "step": 6000})
            seconds, events = asyncio.run(catch_up(process.url, blocks))
        finally:
            process.kill()
    print(
        f"caught up with {blocks} blocks ({events} events) in {seconds:.1f} s, {blocks / seconds:.0f} blocks a second"
    )


if __name__ == "__main__":
    main()
