"""Stage `settings`: read what this boot was given, and say what is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path

from images.boot import given
from images.boot.sources import Source

LATE_S = 3.0
"""How long a stick with `node.cfg` may take to appear after the kernel is up."""


def main() -> None:
    """Gather, keep, print."""
    texts = given.gather()
    deadline = time.monotonic() + LATE_S
    while Source.FILE not in texts and time.monotonic() < deadline and Path("/sys/bus/usb/devices").is_dir():
        time.sleep(0.5)
        texts = given.gather()
    given.keep(texts)
    found = given.settings()
    farm = f"farm {found.farm} ({found.farm_source})" if found.farm else "no farm"
    print(f"{farm}, run mode {found.mode or 'unknown'} ({found.mode_source})", flush=True)
    for problem in found.problems:
        print(problem, flush=True)
    for host in found.hosts:
        with Path("/etc/hosts").open("a") as file:
            file.write(f"{host[1]}\t{host[0]}\n")


if __name__ == "__main__":
    main()
