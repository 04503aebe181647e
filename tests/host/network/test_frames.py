"""What a guest's tap lets through: crafted frames in both directions (`network-linux.md` §7.3, strict column)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.host.network import frames
from tests.host.network.lab import GATEWAY, Lab, Node, Place
from tests.host.network.network_data import Part
from tests.shared import PROJECT

pytestmark = pytest.mark.root

NET, IP = "26-1000-net", "26-1000-pubip"
PUBLIC, OTHER = "185.206.122.33", "185.206.122.44"
STRANGER, ROUTER = "02:aa:bb:cc:dd:01", "02:00:00:00:00:fe"
OUTSIDE, OUTSIDE6 = "198.18.0.1", "2001:db8:1::1"
LAN_PC, LAN_PC6 = "10.99.0.77", "2001:db8:99::1"


class Wire:
    """One end: raw frames go in and come out."""

    def __init__(self, place: Place, kind: str, name: str, namespace: str = "") -> None:
        inside = ("ip", "netns", "exec", namespace) if namespace else ()
        program = ("env", f"PYTHONPATH={PROJECT}", sys.executable, "-m", "tests.host.network.frame_process")
        self._process = subprocess.Popen(
            place.enter(*inside, *program, kind, name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def send(self, frame: bytes) -> None:
        self._write(frame.hex())

    def take(self) -> set[bytes]:
        self._write("take")
        assert self._process.stdout
        return {bytes.fromhex(text) for text in json.loads(self._process.stdout.readline())}

    def close(self) -> None:
        self._process.communicate("\n", timeout=10)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@dataclass(frozen=True)
class Ends:
    """A guest's tap, and a link on the other side of its bridge."""

    guest: Wire
    other: Wire
    nic: dict[str, Any]

    @property
    def mac(self) -> str:
        return str(self.nic["mac"])

    @property
    def six(self) -> str:
        return next(a.split("/")[0] for a in self.nic["addresses"] if ":" in a)

    @property
    def local(self) -> str:
        raw = bytes.fromhex(self.mac.replace(":", ""))
        tail = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
        return "fe80::" + ":".join(tail[at : at + 2].hex() for at in range(0, 8, 2))


def passed(sender: Wire, receiver: Wire, sent: dict[str, bytes]) -> set[str]:
    """Names of the frames that arrive on the other side."""
    receiver.take()
    for frame in sent.values():
        sender.send(frame)
    time.sleep(0.3)
    arrived = receiver.take()
    return {name for name, frame in sent.items() if frame in arrived}


@pytest.fixture(scope="module")
def node(lab: Lab) -> Node:
    node = lab.add_node(4)
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.31/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.131/16", "gateway": GATEWAY},
        yggdrasil={"multicast": False},
    )
    node.wait_for_router()
    node.agent.call("provision", id=NET, type="network", data=Part(2, 7001, "").data())
    return node


@pytest.fixture(scope="module")
def private(node: Node) -> Iterator[Ends]:
    nic = node.agent.call("attach", guest="26-1000-vm", network="net", address="10.50.2.5")
    home = "n-NFSHhr5U6X8py"
    ends = Ends(Wire(node, "tap", nic["tap"]), Wire(node, "link", home, home), nic)
    yield ends
    ends.guest.close()
    ends.other.close()


@pytest.fixture(scope="module")
def public(lab: Lab, node: Node) -> Iterator[Ends]:
    node.agent.call("reserve", contract=1000, addresses=[f"{PUBLIC}/24"], gateway="185.206.122.1")
    node.agent.call("provision", id=IP, type="ip", data={"v4": True, "v6": True})
    nic = node.agent.call("attach_public", guest="26-1000-vm", ip=IP)
    ends = Ends(Wire(node, "tap", nic["tap"]), Wire(lab, "link", "up4-0"), nic)
    yield ends
    ends.guest.close()
    ends.other.close()


@pytest.fixture(scope="module")
def planetary(node: Node) -> Iterator[Ends]:
    nic = node.agent.call("attach_planetary", guest="26-1000-vm")
    ends = Ends(Wire(node, "tap", nic["tap"]), Wire(node, "link", "nygg6", "ndmz"), nic)
    yield ends
    ends.guest.close()
    ends.other.close()


def bad_from_guest(ends: Ends, own: str, victim: str) -> dict[str, bytes]:
    """Everything that a guest must not get out, whatever kind of tap it has."""
    mac = ends.mac
    bad = {
        "IPv6 source of another": frames.udp(mac, ROUTER, "2001:db8:99::bad", OUTSIDE6),
        "IPv6 from another MAC": frames.udp(STRANGER, ROUTER, ends.six, OUTSIDE6),
        "router advertisement": frames.router_advertisement(mac, ends.local),
        "neighbour advertisement for the gateway": frames.neighbour_advertisement(mac, ends.local, "fe80::1"),
        "DHCPv6 server reply": frames.udp(mac, ROUTER, ends.local, "fe80::9", from_port=547, port=546),
        "unknown ethertype": frames.ethernet(mac, frames.BROADCAST, 0x88B5, b"whatever it is"),
        "IPv4 source of another": frames.udp(mac, ROUTER, victim, OUTSIDE),
        "ARP request with another's address": frames.arp(mac, mac, victim, OUTSIDE),
    }
    if own:
        bad |= {
            "IPv4 from another MAC": frames.udp(STRANGER, ROUTER, own, OUTSIDE),
            "ARP reply with another's address": frames.arp(mac, mac, victim, own, operation=2),
            "ARP with another's MAC": frames.arp(mac, STRANGER, own, victim),
            "ARP from another MAC": frames.arp(STRANGER, mac, own, victim),
            "reverse ARP": frames.arp(mac, mac, own, victim, operation=3),
            "VLAN tag": frames.tagged(7, frames.udp(mac, ROUTER, own, OUTSIDE)),
            "VLAN tag and another's address": frames.tagged(7, frames.udp(mac, ROUTER, victim, OUTSIDE)),
            "DHCP server reply": frames.udp(mac, ROUTER, own, OUTSIDE, from_port=67, port=68),
        }
    return bad


def good_from_guest(ends: Ends, own: str, gateway: str) -> dict[str, bytes]:
    mac = ends.mac
    good = {
        "IPv6": frames.udp(mac, ROUTER, ends.six, "2300::1" if not own else OUTSIDE6),
        "neighbour solicitation": frames.neighbour_solicitation(mac, ends.local, "fe80::1"),
        "duplicate detection": frames.neighbour_solicitation(mac, "::", ends.six),
        "own neighbour advertisement": frames.neighbour_advertisement(mac, ends.six, ends.six),
    }
    if own:
        good |= {
            "IPv4": frames.udp(mac, ROUTER, own, OUTSIDE),
            "ARP request": frames.arp(mac, mac, own, gateway),
            "ARP probe": frames.arp(mac, mac, "0.0.0.0", own),
        }
    return good


def to_guest(ends: Ends, own: str, neighbour: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Frames from the other side: what the guest must not see, and what it has to."""
    mac = ends.mac
    bad = {
        "IPv6 to another address": frames.udp(ROUTER, mac, OUTSIDE6, "2001:db8:99::bad"),
        "IPv6 to another MAC": frames.udp(ROUTER, STRANGER, OUTSIDE6, ends.six),
        "unknown ethertype": frames.ethernet(ROUTER, mac, 0x88B5, b"whatever it is"),
        "IPv4 to another address": frames.udp(ROUTER, mac, OUTSIDE, neighbour),
        "IPv4 broadcast": frames.udp(ROUTER, frames.BROADCAST, OUTSIDE, "255.255.255.255"),
    }
    good = {
        "IPv6": frames.udp(ROUTER, mac, OUTSIDE6, ends.six),
        "neighbour solicitation": frames.neighbour_solicitation(ROUTER, "fe80::ff:fe00:fe", ends.six),
    }
    if own:
        bad |= {
            "IPv4 to another MAC": frames.udp(ROUTER, STRANGER, OUTSIDE, own),
            "VLAN tag": frames.tagged(7, frames.udp(ROUTER, mac, OUTSIDE, own)),
        }
        good |= {
            "IPv4": frames.udp(ROUTER, mac, OUTSIDE, own),
            "ARP request": frames.arp(ROUTER, ROUTER, neighbour, own),
        }
    return bad, good


def test_a_private_tap_passes_only_its_own_addresses(private: Ends) -> None:
    good = good_from_guest(private, "10.50.2.5", "10.50.2.1")
    bad = bad_from_guest(private, "10.50.2.5", "10.50.2.6")
    assert passed(private.guest, private.other, bad | good) == set(good)


def test_a_private_tap_receives_only_what_is_meant_for_it(private: Ends) -> None:
    bad, good = to_guest(private, "10.50.2.5", "10.50.2.6")
    assert passed(private.other, private.guest, bad | good) == set(good)


def test_a_planetary_tap_passes_only_its_own_address(planetary: Ends) -> None:
    good, bad = good_from_guest(planetary, "", ""), bad_from_guest(planetary, "", "10.50.2.6")
    assert passed(planetary.guest, planetary.other, bad | good) == set(good)
    bad, good = to_guest(planetary, "", "10.50.2.6")
    assert passed(planetary.other, planetary.guest, bad | good) == set(good)


def test_a_public_tap_passes_only_its_own_addresses_and_not_to_the_lan(public: Ends) -> None:
    good = good_from_guest(public, PUBLIC, "185.206.122.1")
    bad = bad_from_guest(public, PUBLIC, OTHER)
    mac = public.mac
    bad |= {
        "IPv4 to the LAN": frames.udp(mac, ROUTER, PUBLIC, LAN_PC),
        "IPv4 to the node": frames.udp(mac, ROUTER, PUBLIC, "10.99.0.31"),
        "IPv4 multicast": frames.udp(mac, "01:00:5e:00:00:fb", PUBLIC, "224.0.0.251"),
        "IPv4 broadcast": frames.udp(mac, frames.BROADCAST, PUBLIC, "255.255.255.255"),
        "IPv6 to the LAN": frames.udp(mac, ROUTER, public.six, LAN_PC6),
        "IPv6 to a neighbour's link-local address": frames.udp(mac, ROUTER, public.local, "fe80::9"),
        "IPv6 multicast": frames.udp(mac, "33:33:00:00:00:fb", public.six, "ff02::fb"),
    }
    assert passed(public.guest, public.other, bad | good) == set(good)


def test_a_public_tap_receives_only_what_is_meant_for_it_and_not_from_the_lan(public: Ends) -> None:
    bad, good = to_guest(public, PUBLIC, OTHER)
    bad |= {
        "IPv4 from the LAN": frames.udp(ROUTER, public.mac, LAN_PC, PUBLIC),
        "IPv6 from the LAN": frames.udp(ROUTER, public.mac, LAN_PC6, public.six),
    }
    assert passed(public.other, public.guest, bad | good) == set(good)


def test_filters_hold_after_a_restart_of_the_node(node: Node, public: Ends) -> None:
    node.restart()
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.31/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.131/16", "gateway": GATEWAY},
        yggdrasil={"multicast": False},
    )
    node.agent.call("reserve", contract=1000, addresses=[f"{PUBLIC}/24"], gateway="185.206.122.1")
    assert node.agent.call("recover", id=IP, type="ip", data={"v4": True, "v6": True})
    good = good_from_guest(public, PUBLIC, "185.206.122.1")
    assert passed(public.guest, public.other, bad_from_guest(public, PUBLIC, OTHER) | good) == set(good)


def test_a_guest_does_not_reach_the_node_through_its_own_bridge(node: Node, private: Ends) -> None:
    """The bridge has no address, but without a rule the node would answer for all of its own on it."""
    mac = node.run("cat", "/sys/class/net/b-NFSHhr5U6X8py/address").strip()
    counter = "nft list chain bridge filter input"
    before = node.sh(counter)
    private.guest.send(frames.udp(private.mac, mac, "10.50.2.5", "10.99.0.31"))
    time.sleep(0.2)
    assert node.sh(counter) != before
