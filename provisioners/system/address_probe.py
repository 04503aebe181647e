"""Ask the public segment whether another device answers for an address (RFC 5227, RFC 4862; decision 59)."""

from __future__ import annotations

import socket
import struct
import time
from ipaddress import IPv4Address, IPv6Address

from provisioners.system.derive import mac_bytes

PROBES = 3
INTERVAL = 0.25
"""Seconds between two probes, and after the last one: an answer on a LAN takes milliseconds."""

_ETH_P_ALL = 0x0003
_ARP, _IPV6 = 0x0806, 0x86DD
_REQUEST = 1
_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136


def other_holder(address: IPv4Address | IPv6Address, port: str, sender: str, own: str) -> str | None:
    """MAC of a device that claims `address`, seen from the bridge port `port`; None when nobody answers.

    `sender` is the MAC that asks, `own` the MAC for which the address is meant.  Blocks for 0.75 s.  The probe
    carries no sender address, so it changes nobody's tables.
    """
    with socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(_ETH_P_ALL)
    ) as wire:
        wire.bind((port, _ETH_P_ALL))
        probe = arp_probe(address, sender) if isinstance(address, IPv4Address) else nd_probe(address, sender)
        for _ in range(PROBES):
            wire.send(probe)
            deadline = time.monotonic() + INTERVAL
            while (rest := deadline - time.monotonic()) > 0:
                wire.settimeout(rest)
                try:
                    frame, (_, _, kind, *_) = wire.recvfrom(2048)
                except TimeoutError:
                    break
                claimed = None if kind == socket.PACKET_OUTGOING else claimant(frame, address)
                if claimed is not None and claimed not in (own, sender):
                    return claimed
    return None


def arp_probe(address: IPv4Address, sender: str) -> bytes:
    """An Ethernet frame that asks who has `address`, from nobody."""
    mac = mac_bytes(sender)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _REQUEST) + mac + bytes(4) + bytes(6) + address.packed
    return b"\xff" * 6 + mac + struct.pack("!H", _ARP) + body


def nd_probe(address: IPv6Address, sender: str) -> bytes:
    """A neighbour solicitation for `address` from the unspecified address, as duplicate detection sends it."""
    group = IPv6Address("ff02::1:ff00:0").packed[:13] + address.packed[13:]
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + address.packed
    pseudo = bytes(16) + group + struct.pack("!II", len(message), _ICMPV6)
    checksum = _internet_checksum(pseudo + message)
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + bytes(16) + group
    return b"\x33\x33" + group[12:] + mac_bytes(sender) + struct.pack("!H", _IPV6) + header + message


def claimant(frame: bytes, address: IPv4Address | IPv6Address) -> str | None:
    """MAC of the device that says, by this frame, that `address` is its own."""
    kind = int.from_bytes(frame[12:14])
    if isinstance(address, IPv4Address):
        if kind == _ARP and len(frame) >= 42 and frame[28:32] == address.packed:
            return frame[22:28].hex(":")
        return None
    advertises = kind == _IPV6 and len(frame) >= 78 and frame[20] == _ICMPV6 and frame[54] == _ADVERTISEMENT
    return frame[6:12].hex(":") if advertises and frame[62:78] == address.packed else None


def _internet_checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
