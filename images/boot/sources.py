"""Where a boot setting may come from, and which source wins.  Pure.

For each key the highest source that names it supplies all its values: lists are never merged, and a wrong value in a
high source does not fall through to a lower one, so that a slip on a stick never lets the LAN choose the farm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from images.boot.words import Words, parse


class Source(IntEnum):
    """Lower wins."""

    COMMAND_LINE = 1
    FIRMWARE = 2
    FILE = 3
    DHCP = 4
    REMOTE = 5

    @property
    def title(self) -> str:
        """Name for people."""
        return _TITLES[self]


_TITLES = {
    Source.COMMAND_LINE: "command line",
    Source.FIRMWARE: "firmware configuration",
    Source.FILE: "node.cfg",
    Source.DHCP: "DHCP",
    Source.REMOTE: "remote configuration",
}

FROM_DHCP = frozenset({"farmer_id", "runmode", "version"})
"""Whoever is on the LAN can answer DHCP, so it may say no more than this."""

FROM_REMOTE = frozenset({"activation", "node.peer", "node.test-farm", "relay", "substrate"})
"""The remote configuration moves services; it says nothing about this node."""

_ALLOWED = {Source.DHCP: FROM_DHCP, Source.REMOTE: FROM_REMOTE}

OURS = frozenset(
    {
        "activation",
        "disable-gpu",
        "domain",
        "farmer_id",
        "missing-ssd",
        "node.config",
        "node.health",
        "node.host",
        "node.image",
        "node.images",
        "node.peer",
        "node.test-farm",
        "node.upgrade",
        "pub:mac",
        "relay",
        "runmode",
        "secret",
        "ssh-user",
        "substrate",
        "version",
        "vlan:priv",
        "vlan:pub",
        "zos-debug",
        "zos-debug-vm",
    }
)
"""Keys that mean something to the node; all others on a command line are the kernel's."""


@dataclass(frozen=True, slots=True)
class Given:
    """The values of one key and where they were given."""

    values: tuple[str, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Merged:
    """Every key that somebody gave, and what was refused or could not be read, as sentences."""

    given: Mapping[str, Given]
    problems: tuple[str, ...] = ()


def merge(texts: Mapping[Source, str]) -> Merged:
    """Put the texts of all sources together; never raises."""
    layers: dict[Source, Words] = {}
    problems: list[str] = []
    for source in sorted(texts):
        parsed = parse(texts[source])
        if parsed.problem:
            problems.append(f"{source.title}: {parsed.problem}")
        layers[source] = parsed.words
    refused = sorted((layers.get(Source.DHCP, {}).keys() & OURS) - FROM_DHCP)
    if refused:
        problems.append(f"DHCP may not set {', '.join(refused)}: ignored; put it on the stick")
    given: dict[str, Given] = {}
    for source, words in layers.items():
        for key, values in words.items():
            if key in _ALLOWED.get(source, OURS):
                given.setdefault(key, Given(values, source))
    return Merged(given, tuple(problems))
