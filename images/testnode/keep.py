"""`python -m images.testnode.keep FILE`: run one machine; SIGTERM presses its power button."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from images.testnode.arguments import Boot, TestNode
from images.testnode.machine import Machine, TestNodeError

GRACE_S = 8.0
"""Whoever keeps us kills after ten."""
LOOK_EVERY_S = 0.5


def load(file: Path) -> TestNode:
    """The machine that `zos testnode up` or a development grid described."""
    table = json.loads(file.read_text())
    paths = {name: Path(table[name]) for name in ("folder", "image")}
    return TestNode(
        **{
            **table,
            **paths,
            "boot": Boot(table["boot"]),
            "disks": tuple(map(Path, table["disks"])),
            **{name: tuple(table[name]) for name in ("nics", "controllers")},
            **{name: Path(table[name]) if table[name] else None for name in ("medium", "trusted")},
        }
    )


def main() -> None:
    """End when the machine is off: status 1, so that whoever keeps us starts it again."""
    machine = Machine(load(Path(sys.argv[1])))
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        machine.up()
        while machine.pid is not None and not ending:
            time.sleep(LOOK_EVERY_S)
    except TestNodeError as problem:
        print(problem, file=sys.stderr, flush=True)
    finally:
        if machine.pid is not None:
            machine.down(GRACE_S)
    sys.exit(0 if ending else 1)


if __name__ == "__main__":
    main()
