"""Stage `network`: find the card that leads to the farm's LAN, and look again when cables move.

A card is only asked what it would get; nothing is configured on it.  The daemon makes the bridge on the chosen card.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Interface
from pathlib import Path

from images.boot import given, stage_file
from images.boot.control import ControlError, ask
from images.boot.nics import Lease, Nic, candidates, choose, explain, should_move
from images.boot.sources import Source
from images.boot.stage_file import StageReport

NET = Path("/sys/class/net")
PROBE_SCRIPT = Path("/usr/lib/zos/show-lease")
PROBE_LIMIT_S = 45
LOOK_EVERY_S = 3.0
LINK_S = 10.0
"""A card needs seconds to agree with a switch on a link."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
BRIDGE = "zos"


def main() -> None:
    """Until there is a network: ask all cards again and again.  Then watch them for ever."""
    report = StageReport("network")
    chosen = _find(report)
    _take(chosen, report)
    report.ready()
    while True:
        time.sleep(LOOK_EVERY_S)
        nics = look()
        _show(nics)
        if not should_move(_card(chosen), nics):
            continue
        before = chosen
        chosen = _find(report, before)
        if chosen.name != before.name:
            _run("ip", "link", "set", tagged(before.name, given.settings().vlan_private), "nomaster")
        _take(chosen, report)
        _changed()


def _find(report: StageReport, before: Nic | None = None) -> Nic:
    """Ask until a card has a way out; `before` is taken back without asking when its link returns."""
    pause, error = FIRST_PAUSE_S, ""
    while True:
        nics = _wait_for_links()
        _show(nics)
        if before is not None and not should_move(_card(before), nics) and _has_link(_card(before), nics):
            return before
        names = ", ".join(nic.name for nic in candidates(nics))
        text = f"asking for an address on {names}" if names else "waiting for a link"
        report.tell("working", text, error)
        nics = probe(nics, given.settings().vlan_private)
        _show(nics)
        chosen = choose(nics)
        if chosen is not None:
            return chosen
        error = explain(nics)
        report.tell("working", "no network yet", error)
        time.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 1.5)


def _wait_for_links() -> list[Nic]:
    """Switch all real cards on and give them the time that finding a link takes."""
    deadline = time.monotonic() + LINK_S
    while True:
        nics = look()
        real = [nic for nic in nics if nic.physical]
        for nic in real:
            if not nic.carrier:
                _run("ip", "link", "set", nic.name, "up")
        if not real or candidates(nics) or time.monotonic() > deadline:
            return nics
        time.sleep(0.5)


def _card(nic: Nic) -> str:
    return nic.name.partition(".")[0]


def _has_link(name: str, nics: Sequence[Nic]) -> bool:
    return any(nic.name == name and nic.carrier for nic in nics)


def look(net: Path = NET) -> list[Nic]:
    """Every link of the machine as it is now, without loopback."""
    found = []
    for entry in sorted(net.iterdir()) if net.is_dir() else []:
        if entry.name == "lo" or not entry.is_dir():
            continue
        driver = entry / "device/driver"
        found.append(
            Nic(
                entry.name,
                _text(entry / "address"),
                physical=(entry / "device").exists(),
                carrier=_text(entry / "carrier") == "1",
                driver=driver.resolve().name if driver.exists() else "",
            )
        )
    return found


def probe(nics: Sequence[Nic], vlan: int | None) -> list[Nic]:
    """Ask on every card with a cable, side by side, what a DHCP server would give."""
    asked = [nic for nic in candidates(nics) if not (NET / nic.name / "master").exists()]
    if not asked:
        return list(nics)
    with ThreadPoolExecutor(len(asked)) as pool:
        leases = dict(
            zip((nic.name for nic in asked), pool.map(lambda n: _ask(n.name, vlan), asked), strict=True)
        )
    return [replace(nic, lease=leases[nic.name], probed=True) if nic.name in leases else nic for nic in nics]


def _ask(name: str, vlan: int | None) -> Lease | None:
    link = tagged(name, vlan)
    if vlan is not None and not (NET / link).exists():
        _run("ip", "link", "add", "link", name, "name", link, "type", "vlan", "id", str(vlan))
        _run("ip", "link", "set", link, "up")
    with tempfile.TemporaryDirectory(prefix="lease-") as folder:
        file = Path(folder) / "lease"
        try:
            subprocess.run(
                ["busybox", "udhcpc", "-i", link, "-f", "-n", "-q", "-t", "8", "-T", "2", "-O", "224",
                 "-s", str(PROBE_SCRIPT)],
                env={**os.environ, "LEASE_FILE": str(file)},
                capture_output=True, timeout=PROBE_LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return parse_lease(_text(file))


def tagged(name: str, vlan: int | None) -> str:
    """Name of the link on which a card is used: itself, or its VLAN."""
    return name if vlan is None else f"{name}.{vlan}"


def parse_lease(text: str) -> Lease | None:
    """Read `key=value` lines of the probe script; None when there is no usable address."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        address = IPv4Interface(f"{fields['ip']}/{fields.get('mask') or 24}")
    except (KeyError, ValueError):
        return None
    routers = [_ipv4(word) for word in fields.get("router", "").split()]
    resolvers = tuple(word for word in fields.get("dns", "").split() if _ipv4(word))[:3]
    return Lease(
        address,
        next((router for router in routers if router), None),
        resolvers,
        fields.get("serverid", ""),
        option_text(fields.get("opt224", "")),
    )


def option_text(digits: str) -> str:
    """The text of a DHCP option that udhcpc shows as hexadecimal; "" when it is none."""
    try:
        return bytes.fromhex(digits.strip())[:255].decode("ascii").strip("\0")
    except ValueError:
        return ""


def _ipv4(word: str) -> IPv4Address | None:
    try:
        return IPv4Address(word)
    except AddressValueError:
        return None


def _take(nic: Nic, report: StageReport) -> None:
    assert nic.lease is not None
    lease = nic.lease
    link = tagged(nic.name, given.settings().vlan_private)
    resolvers = lease.resolvers or (str(lease.router),)
    Path("/run/resolv.conf").write_text("".join(f"nameserver {each}\n" for each in resolvers))
    if lease.option:
        given.keep({**given.kept(), Source.DHCP: lease.option})
    stage_file.write("uplink", {"link": link, "mac": nic.mac, "address": str(lease.address)})
    report.tell("done", f"{link} ({nic.mac}) {lease.address} by {lease.router}")


def _show(nics: Sequence[Nic]) -> None:
    lines = []
    before = stage_file.read("nics").get("leases", {})
    leases = {
        nic.name: str(nic.lease.address) if nic.lease else "no DHCP answer" for nic in nics if nic.probed
    }
    leases = {**before, **leases}
    for nic in nics:
        if nic.physical:
            state = "link up" if nic.carrier else "no cable"
            lines.append(f"{nic.name} {nic.mac} {nic.driver} {state} {leases.get(nic.name, '')}".rstrip())
    stage_file.write("nics", {"lines": lines, "leases": leases})


def _changed() -> None:
    """The daemon's configuration depends on the card: write it anew and let the daemon take it over."""
    for request in ({"do": "restart", "unit": "configure"}, {"do": "restart", "unit": "zosd"}):
        try:
            ask(request)
            time.sleep(2)
        except ControlError as problem:
            print(problem, flush=True)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, timeout=30, check=False)


if __name__ == "__main__":
    main()
