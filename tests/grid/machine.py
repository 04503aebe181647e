"""What a run could leave behind on this machine, taken before and after."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

OURS = (
    "qemu-system",
    "virtiofsd",
    "wireguard-go",
    "yggdrasil",
    "redis-server",
    "dnsmasq",
    "rmb-peer",
    "zosd",
    "tfchain-dev",
    "devgrid",
)


@dataclass(frozen=True)
class Machine:
    """Names of everything of the kinds that we make."""

    namespaces: frozenset[str]
    links: frozenset[str]
    loops: frozenset[str]
    mounts: frozenset[str]
    tables: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]

    @classmethod
    def now(cls) -> Machine:
        return cls(
            namespaces=_lines("ip", "netns", "list"),
            links=frozenset(Path(link).name for link in map(str, Path("/sys/class/net").iterdir())),
            loops=_lines("losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE"),
            mounts=frozenset(
                line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
            ),
            tables=_lines("nft", "list", "tables"),
            cgroups=frozenset(
                str(path)
                for pattern in ("zos*", "*/zos*")
                for path in Path("/sys/fs/cgroup").glob(pattern)
                if path.is_dir()
            ),
            processes=frozenset(_processes()),
        )

    def left_since(self, before: Machine) -> dict[str, list[str]]:
        """What is there now and was not before, by kind; empty when the machine is as it was."""
        kinds = ("namespaces", "links", "loops", "mounts", "tables", "cgroups", "processes")
        left = {kind: sorted(getattr(self, kind) - getattr(before, kind)) for kind in kinds}
        return {kind: names for kind, names in left.items() if names}


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return frozenset(line.strip() for line in done.stdout.splitlines() if line.strip())


def _processes() -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())[:160]
        ours = "pytest" not in words and any(name in words for name in OURS)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.info['pid']} {words}")
    return found
