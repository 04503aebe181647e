"""Crafted Ethernet frames, good and bad."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"


def ethernet(source: str, target: str, kind: int, body: bytes) -> bytes:
    return _mac(target) + _mac(source) + struct.pack("!H", kind) + body


def tagged(vlan: int, frame: bytes) -> bytes:
    """The frame with an 802.1Q tag."""
    return frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:]


def arp(
    source: str, sender_mac: str, sender: str, target: str, *, operation: int = 1, to: str = BROADCAST
) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += _mac(sender_mac) + ip_address(sender).packed + bytes(6) + ip_address(target).packed
    return ethernet(source, to, 0x0806, body)


def udp(
    source_mac: str, target_mac: str, source: str, target: str, *, port: int = 4000, from_port: int = 4000
) -> bytes:
    """A UDP packet of either family."""
    here, there = ip_address(source), ip_address(target)
    segment = struct.pack("!HHHH", from_port, port, 12, 0) + b"test"
    if here.version == 4:
        header = (
            struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 17, 0) + here.packed + there.packed
        )
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return ethernet(source_mac, target_mac, 0x0800, header + segment)
    segment = (
        segment[:6] + struct.pack("!H", _checksum6(here.packed, there.packed, 17, segment)) + segment[8:]
    )
    return _ipv6(source_mac, target_mac, here.packed, there.packed, 17, segment, 64)


def icmpv6(source_mac: str, target_mac: str, source: str, target: str, type: int, body: bytes) -> bytes:
    here, there = ip_address(source).packed, ip_address(target).packed
    message = struct.pack("!BBH", type, 0, 0) + body
    message = message[:2] + struct.pack("!H", _checksum6(here, there, 58, message)) + message[4:]
    return _ipv6(source_mac, target_mac, here, there, 58, message, 255)


def router_advertisement(source_mac: str, source: str) -> bytes:
    return icmpv6(source_mac, ALL_NODES, source, "ff02::1", 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))


def neighbour_advertisement(source_mac: str, source: str, about: str) -> bytes:
    """Says that `about` is at `source_mac`."""
    body = struct.pack("!I", 0x20000000) + ip_address(about).packed + b"\x02\x01" + _mac(source_mac)
    return icmpv6(source_mac, ALL_NODES, source, "ff02::1", 136, body)


def neighbour_solicitation(source_mac: str, source: str, about: str) -> bytes:
    target = IPv6Address("ff02::1:ff00:0").packed[:13] + ip_address(about).packed[13:]
    body = bytes(4) + ip_address(about).packed + b"\x01\x01" + _mac(source_mac)
    multicast = b"\x33\x33" + target[12:]
    return icmpv6(source_mac, multicast.hex(":"), source, str(IPv6Address(target)), 135, body)


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ipv6(
    source_mac: str, target_mac: str, here: bytes, there: bytes, next: int, body: bytes, hops: int
) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(body), next, hops) + here + there
    return ethernet(source_mac, target_mac, 0x86DD, header + body)


def _checksum6(here: bytes, there: bytes, next: int, message: bytes) -> int:
    return checksum(here + there + struct.pack("!II", len(message), next) + message)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
