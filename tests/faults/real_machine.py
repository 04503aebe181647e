"""What a node's machine looks like from the kernel's side, without what differs from run to run."""

from __future__ import annotations

import re
from typing import Any

from tests.host.zosd.test_real_node import RealNode

PROGRAMS = ("qemu-system-x86", "virtiofsd", "wireguard-go", "dnsmasq", "yggdrasil")
_COUNTER = re.compile(r"counter packets \d+ bytes \d+")
_ELEMENTS = re.compile(r"elements = \{[^}]*\}", re.DOTALL)


def snapshot(real: RealNode) -> dict[str, Any]:
    """Namespaces, links, addresses, rules, mounts, disks, processes and owner files."""
    names = ["", *sorted(real.node.sh("ls /run/netns", check=False).split())]
    spaces = {name or "node": _namespace(real, name) for name in names}
    return {
        "spaces": spaces,
        "mounts": sorted(set(real.node.sh("cut -d' ' -f2,3 /proc/self/mounts").splitlines())),
        # Which of two equal pools was taken is chance.
        "disks": sorted(
            place.partition("/pools/")[2].partition("/")[2] for place in real.leftovers_in_pools()
        ),
        "processes": {
            program: len(real.node.sh(f"pgrep -f '[/]{program}|^{program}'", check=False).split())
            for program in PROGRAMS
        },
        "owners": sorted(
            str(file.relative_to(real.folder)) for file in (real.folder / "state" / "owners").rglob("*.json")
        ),
        "run": sorted(
            str(file.relative_to(real.run)) for file in (real.run / "vm").rglob("*") if not file.is_dir()
        ),
    }


def _namespace(real: RealNode, name: str) -> dict[str, Any]:
    inside = f"ip netns exec {name} " if name else ""
    links = real.node.sh(f"{inside}ip -o link | cut -d: -f2 | cut -d@ -f1").split()
    addresses = [
        line.split()[1] + " " + line.split()[3]
        for line in real.node.sh(f"{inside}ip -o addr").splitlines()
        if "dynamic" not in line and "scope link" not in line
    ]
    rules = _ELEMENTS.sub("", _COUNTER.sub("", real.node.sh(f"{inside}nft list ruleset", check=False)))
    return {"links": sorted(links), "addresses": sorted(addresses), "rules": rules.splitlines()}


def differs(expected: Any, found: Any, place: str = "") -> str:
    """The first thing that is not the same; "" when all is."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in expected or key not in found:
                return f"{place}/{key} is {'missing' if key not in found else 'left over'}"
            if text := differs(expected[key], found[key], f"{place}/{key}"):
                return text
        return ""
    if isinstance(expected, list) and isinstance(found, list):
        missing = [one for one in expected if one not in found]
        more = [one for one in found if one not in expected]
        return f"{place}: missing {missing}, left over {more}" if missing or more else ""
    return "" if expected == found else f"{place}: expected {expected!r}, found {found!r}"
