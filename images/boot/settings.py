"""What the node was told for this boot, checked.  Pure, but for the table of run modes beside this file.

A wrong value is a sentence for the screen and never an exception.  What it would have set stays unset: a node with a
wrong farm has no farm, one with an unknown run mode has no services and waits for a new stick.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from images.boot.sources import Given, Merged, Source

T = TypeVar("T")

LONG_MODES = {"development": "dev", "testing": "test", "production": "prod"}
DEFAULT_MODE = "prod"
VERSIONS = ("v3", "v3light", "v4")
MOST_RELAYS = 4
"""The chain keeps them in limited space."""
MOST_HOSTS = 16
MOST_TEST_FARMS = 1000
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
UNTAGGED = ("none", "untagged", "un")
HEALTH_WINDOW_S = 600.0
"""How long a new image has to be healthy before it counts as good."""


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of one run mode, each list tried in order."""

    substrate: tuple[str, ...] = ()
    relay: tuple[str, ...] = ()
    activation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootSettings:
    farm: int = 0
    """0: none, the node is an orphan and does not register."""
    farm_source: str = ""
    mode: str = DEFAULT_MODE
    """"" when the given one is unknown."""
    mode_source: str = "default"
    version: str = "v3"
    debug: bool = False
    debug_vm: bool = False
    missing_ssd: bool = False
    disable_gpu: bool = False
    vlan_private: int | None = None
    vlan_public: int | None = None
    public_mac: str = "random"
    services: Services = Services()
    domain: str = ""
    health_window: float = HEALTH_WINDOW_S
    """Seconds."""
    hosts: tuple[tuple[str, str], ...] = ()
    """(name, address): for private networks whose names no resolver knows."""
    image_hosts: tuple[str, ...] = ()
    """Hosts on guarded networks from which machines' images may come."""
    overlay_peers: tuple[str, ...] = ()
    """Where the node's Yggdrasil connects to, beside what it finds on its LAN."""
    upgrade: str = ""
    """Address of a folder with manifest, signature, kernel and initrd of the release to run; "": none."""
    remote: str = ""
    """Address of the signed remote configuration; "": none."""
    test_farms: tuple[int, ...] = ()
    """Farms that take a release before it is marked safe."""
    image: str = ""
    """Slot of the running image: "" is the medium, `A` or `B` a slot, `rescue` the medium on purpose."""
    problems: tuple[str, ...] = ()


class _Reader:
    def __init__(self, merged: Merged) -> None:
        self.merged = merged
        self.problems = list(merged.problems)

    def given(self, key: str) -> Given | None:
        return self.merged.given.get(key)

    def complain(self, key: str, value: str, source: Source, rule: str) -> None:
        self.problems.append(f"{key}={value[:60]} ({source.title}): {rule}")

    def flag(self, key: str) -> bool:
        return self.given(key) is not None

    def last(self, key: str, read: Callable[[str], T], rule: str, default: T) -> T:
        given = self.given(key)
        if given is None or not given.values:
            return default
        try:
            return read(given.values[-1])
        except ValueError:
            self.complain(key, given.values[-1], given.source, rule)
            return default

    def all(self, key: str, read: Callable[[str], T], rule: str, most: int) -> list[T]:
        given = self.given(key)
        good = []
        for value in given.values[:most] if given else ():
            try:
                good.append(read(value))
            except ValueError:
                assert given is not None
                self.complain(key, value, given.source, rule)
        return good

    def many(self, key: str, default: tuple[str, ...], schemes: tuple[str, ...]) -> tuple[str, ...]:
        given = self.given(key)
        if given is None or not given.values:
            return default
        good = []
        for value in given.values:
            if value.startswith(schemes) and value.isprintable():
                good.append(value)
            else:
                self.complain(key, value, given.source, f"an address begins with {' or '.join(schemes)}")
        return tuple(good)


def load_modes(file: Path | None = None) -> Mapping[str, Services]:
    """The table of run modes: data, so that a private network can be added."""
    table = json.loads((file or Path(__file__).with_name("run_modes.json")).read_text())
    return {
        mode: Services(*(tuple(kinds[kind]) for kind in ("substrate", "relay", "activation")))
        for mode, kinds in table.items()
    }


def read_settings(merged: Merged, modes: Mapping[str, Services]) -> BootSettings:
    """Check everything that was given; never raises."""
    reader = _Reader(merged)
    farm, farm_source = _farm(reader)
    mode, mode_source = _mode(reader, modes)
    if mode == "prod" and reader.flag("ssh-user"):
        reader.problems.append("ssh-user has no effect in prod: nobody logs in to a node")
    public_mac = reader.last("pub:mac", _one_of(("random", "swap")), "known are random and swap", "random")
    if public_mac == "swap":
        reader.problems.append("pub:mac=swap is not offered: the public side keeps a MAC address of its own")
    usual = modes.get(mode, Services())
    relays = reader.many("relay", usual.relay, ("ws://", "wss://"))
    if len(relays) > MOST_RELAYS:
        reader.problems.append(f"{len(relays)} relays given, the first {MOST_RELAYS} are used")
    services = Services(
        reader.many("substrate", usual.substrate, ("ws://", "wss://")),
        relays[:MOST_RELAYS],
        reader.many("activation", usual.activation, ("http://", "https://")),
    )
    return BootSettings(
        farm=farm,
        farm_source=farm_source,
        mode=mode,
        mode_source=mode_source,
        version=reader.last("version", _one_of(VERSIONS), f"known are {', '.join(VERSIONS)}", "v3"),
        debug=reader.flag("zos-debug"),
        debug_vm=reader.flag("zos-debug-vm"),
        missing_ssd=reader.flag("missing-ssd"),
        disable_gpu=reader.flag("disable-gpu"),
        vlan_private=reader.last("vlan:priv", _vlan, "a VLAN is a number from 1 to 4094, or none", None),
        vlan_public=reader.last("vlan:pub", _vlan, "a VLAN is a number from 1 to 4094, or none", None),
        public_mac=public_mac,
        services=services if mode else Services(),
        domain=reader.last("domain", str, "", ""),
        health_window=reader.last("node.health", _seconds, "seconds from 1 to 86400", HEALTH_WINDOW_S),
        hosts=_hosts(reader),
        image_hosts=tuple(reader.all("node.images", _host, "a host name or address", MOST_HOSTS)),
        overlay_peers=reader.many("node.peer", (), ("tcp://", "tls://", "quic://", "ws://", "wss://")),
        upgrade=reader.last("node.upgrade", _address, "an address begins with http:// or https://", ""),
        remote=reader.last("node.config", _address, "an address begins with http:// or https://", ""),
        test_farms=tuple(reader.all("node.test-farm", _number, "a farm is a number", MOST_TEST_FARMS)),
        image=reader.last("node.image", _one_of(("A", "B", "rescue")), "known are A, B and rescue", ""),
        problems=tuple(reader.problems),
    )


def _farm(reader: _Reader) -> tuple[int, str]:
    given = reader.given("farmer_id")
    if given is None:
        return 0, ""
    if not given.values or not given.values[0]:
        reader.problems.append(f"farmer_id has no value ({given.source.title}): the node has no farm")
        return 0, given.source.title
    text = given.values[0]
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 0 < int(text) < 1 << 32):
        reader.complain("farmer_id", text, given.source, "a farm is a number from 1 to 4294967295")
        return 0, given.source.title
    return int(text), given.source.title


def _mode(reader: _Reader, modes: Mapping[str, Services]) -> tuple[str, str]:
    given = reader.given("runmode")
    if given is None:
        return DEFAULT_MODE, "default"
    text = given.values[0] if given.values else ""
    mode = LONG_MODES.get(text, text)
    if mode not in modes:
        reader.complain(
            "runmode", text, given.source, f"unknown run mode; known are {', '.join(modes)}. Make a new stick"
        )
        return "", given.source.title
    return mode, given.source.title


def _hosts(reader: _Reader) -> tuple[tuple[str, str], ...]:
    given = reader.given("node.host")
    found = []
    for value in given.values if given else ():
        name, _, address = value.partition(",")
        try:
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(name)
            found.append((name, str(ip_address(address))))
        except ValueError:
            assert given is not None
            reader.complain("node.host", value, given.source, "a host is NAME,ADDRESS")
    return tuple(found)


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return read


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not text.isprintable():
        raise ValueError(text)
    return text.rstrip("/")


def _host(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ValueError(text)
    return int(text)


def _vlan(text: str) -> int | None:
    if text in UNTAGGED:
        return None
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:5]) <= 4094:
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86400:
        raise ValueError(text)
    return value
