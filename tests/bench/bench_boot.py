"""From power-on of a test node to its registration, beside a minimal Debian with the same kernel and first stage.

Needs root and the image (`make image`).  Both machines have the same processors, memory and disks and are measured one
after the other, each `ROUNDS` times; the median counts.  Debian is its smallest variant with systemd, from a squashfs
that the same stage 1 finds; it is up when a unit of `multi-user.target` has run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from devgrid.bootstrap import cache_folder
from images.node import recipe
from images.node.build import build
from images.testnode.arguments import NODE_MEMORY
from images.testnode.machine import Machine
from tests.images.node.lab import Lab

ROUNDS = 3
LIMIT_S = 600.0
PACK_LIMIT_S = 900
STAGE_1 = "stage 1: root image by"
NODE_MARKS = (
    ("stage 1 has the root", STAGE_1),
    ("first process", "zos: "),
    ("network", "zos: network: eth0 ("),
    ("identity on two fresh disks", "zos: identity: "),
    ("registered", "zos: registration: done"),
)
DEBIAN_MARKS = (
    ("stage 1 has the root", STAGE_1),
    ("first process", "running in system mode"),
    ("up", "debian: up"),
)
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo debian: up, $(grep MemAvailable /proc/meminfo) >/dev/console'
[Install]
WantedBy=multi-user.target
"""


def debian_root(folder: Path, release: str) -> Path:
    """The squashfs of a minimal Debian."""
    tree, image = folder / "debian", folder / "root.img"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=systemd-sysv,udev",
         "--format=directory", recipe.SUITE, str(tree)],
        check=True, timeout=PACK_LIMIT_S,
    )  # fmt: skip
    (tree / "usr/lib/modules" / release).mkdir(parents=True)
    wanted = tree / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (tree / "etc/systemd/system/up.service").write_text(UNIT)
    (wanted / "up.service").symlink_to("../up.service")
    subprocess.run(
        ["mksquashfs", str(tree), str(image), "-comp", "zstd", "-quiet", "-no-progress", "-no-xattrs"],
        check=True, timeout=PACK_LIMIT_S,
    )  # fmt: skip
    return image


def marks(machine: Machine, wanted: Sequence[tuple[str, str]]) -> list[float]:
    """Seconds from power-on until the console shows each text."""
    start, here = time.monotonic(), len(machine.console())
    machine.up()
    times = []
    for _, text in wanted:
        machine.wait_for(text, LIMIT_S, here)
        times.append(time.monotonic() - start)
    machine.power_cut()
    return times


def main() -> int:
    """0 when both were measured."""
    image = build(cache_folder()).folder
    node: list[list[float]] = []
    debian: list[list[float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-boot-") as name, Progress(transient=True) as progress:
        task = progress.add_task("boots", total=2 * ROUNDS)
        folder = Path(name)
        release = str(json.loads((image / "packages.json").read_text())["kernel"]["release"])
        other = folder / "other"
        other.mkdir()
        for part in ("vmlinuz", "initrd-small"):
            (other / part).symlink_to(image / part)
        debian_root(other, release)
        (folder / "lab").mkdir()
        lab = Lab(folder / "lab", image)
        try:
            lab.start()
            for number in range(ROUNDS):
                node.append(marks(lab.node(f"node{number}"), NODE_MARKS))
                progress.advance(task)
                plain = lab.node(f"debian{number}")
                line = "console=ttyS0 systemd.log_target=console systemd.log_level=info"
                debian.append(marks(lab.again(plain, image=other, command_line=line), DEBIAN_MARKS))
                progress.advance(task)
                memory = lab.machines[-1].console().partition("debian: up, ")[2].split("\n")[0].strip()
        finally:
            lab.close()
    table = Table("from power-on until", "node", "minimal Debian", box=None)
    for place, (title, _) in enumerate(NODE_MARKS):
        other_time = f"{_median(debian, place):.1f} s" if place < 2 else ""
        table.add_row(title, f"{_median(node, place):.1f} s", other_time)
    table.add_row("up (multi-user.target)", "", f"{_median(debian, 2):.1f} s")
    Console().print(table)
    print(f"ratio registered / Debian up: {_median(node, len(NODE_MARKS) - 1) / _median(debian, 2):.1f}")
    print(f"Debian, of {NODE_MEMORY >> 20} MiB: {memory}")
    return 0


def _median(runs: list[list[float]], place: int) -> float:
    return statistics.median(run[place] for run in runs)


if __name__ == "__main__":
    sys.exit(main())
