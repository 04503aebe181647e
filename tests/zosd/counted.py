"""The daemon of a null node whose public addresses have counters.

    python -m tests.zosd.counted CONFIG COUNTERS.json

The file is `{workload: bytes}`; each look at it leaves a line in `COUNTERS.json.looks`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gridtypes import WorkloadId
from provisioners.protocol import Context
from zosd import cli
from zosd import node as daemon
from zosd.books import Books
from zosd.config import Config
from zosd.parts import Parts

plain = daemon.null_parts


def with_counters(file: Path, config: Config, books: Books) -> Parts:
    async def counters(ctx: Context) -> Mapping[WorkloadId, int]:
        shown: dict[str, int] = json.loads(file.read_text())
        with file.with_name(f"{file.name}.looks").open("a") as looks:
            looks.write("\n")
        return {WorkloadId.parse(id): count for id, count in shown.items()}

    return replace(plain(config, books), traffic=counters)


if __name__ == "__main__":
    counted = Path(sys.argv[2])
    daemon.null_parts = lambda config, books: with_counters(counted, config, books)
    cli.run(Path(sys.argv[1]))
