"""Names and addresses that follow from ids and keys, bit-exact (`network.md` §1.4).

Everything here is a pure function.  Two nodes, or a node before and after a reboot, come to the same result, which
is why nothing of this is ever stored.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from nacl.bindings import crypto_scalarmult_base, crypto_sign_seed_keypair

from gridtypes import base58
from provisioners.system.blake3 import blake3_small

LINK_NAME_LIMIT = 15
"""Longest name the kernel takes for a link, in bytes."""
UNIQUE_LENGTH = 13
"""Characters of a derived id: the link name limit less a two-character prefix."""


def unique(owner: str, name: str) -> str:
    """13 characters that stand for `<owner>:<name>`; `owner` is a twin id or a workload id."""
    return base58.encode(hashlib.md5(f"{owner}:{name}".encode(), usedforsecurity=False).digest())[
        :UNIQUE_LENGTH
    ]


def link_name(prefix: str, id: str) -> str:
    """Join a two-character prefix and a derived id.

    Raises ValueError above 15 characters: the kernel would cut or refuse the name.
    """
    name = prefix + id
    if len(name) > LINK_NAME_LIMIT:
        raise ValueError(f"link name {name!r} is longer than {LINK_NAME_LIMIT} characters")
    return name


def node_identity(public_key: bytes) -> str:
    """The node's id as text, the base58 form of its ed25519 key; MACs of the node's own links derive from it."""
    return base58.encode(public_key)


# -- MAC -----------------------------------------------------------------------------------------------------------


def mac_from(source: bytes) -> str:
    """A locally administered unicast MAC from any bytes.

    The acceptance test looks at the wrong end of the address, as the first implementation did: MACs decide about
    DHCP leases and SLAAC addresses, so it is reproduced and not mended.
    """
    digest = bytearray(hashlib.md5(source, usedforsecurity=False).digest())
    while True:
        for offset in range(len(digest) - 5):
            digest[offset] = (digest[offset] | 0x02) & 0xFE  # stays changed for the offsets that follow
            candidate = bytes(digest[offset : offset + 6])
            if _acceptable(candidate):
                return candidate.hex(":")
        digest = bytearray(hashlib.md5(digest, usedforsecurity=False).digest())


def _acceptable(mac: bytes) -> bool:
    head, tail = mac[:2], mac[3:]
    if tail <= b"\x00\x51\xff":
        return head >= b"\x00\x03"
    if tail <= b"\x90\x00\xff":
        return head >= b"\x00\x54" and head != b"\x33\x33"
    return mac <= b"\xff\xff\xff\xff\xff\xfe" and head >= b"\x90\x02"


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def interface_id(mac: str) -> int:
    """The modified EUI-64 of a MAC, the low half of a SLAAC address."""
    raw = mac_bytes(mac)
    return int.from_bytes(bytes([raw[0] ^ 0x02]) + raw[1:3] + b"\xff\xfe" + raw[3:])


def slaac(prefix: IPv6Network, mac: str) -> IPv6Address:
    """The address that a host with this MAC gives itself in a /64.  Raises ValueError for another length."""
    if prefix.prefixlen != 64:
        raise ValueError(f"{prefix} is not a /64, so there is no SLAAC address in it")
    return prefix.network_address + interface_id(mac)


def link_local(mac: str) -> IPv6Address:
    return slaac(IPv6Network("fe80::/64"), mac)


# -- private networks ----------------------------------------------------------------------------------------------


def private_ipv6(netid: str, address: IPv4Address) -> IPv6Interface:
    """The IPv6 address that goes with a private IPv4 address: five ASCII codes of the network id, two octets."""
    c0, c1, c2, c3, c4 = netid[:5].encode("ascii")
    third, fourth = address.packed[2:]
    return IPv6Interface(f"fd{c0:x}:{c1:x}{c2:x}:{c3:x}{c4:x}:{third:x}::{fourth:x}/64")


def wireguard_address(subnet: IPv4Network) -> IPv4Interface:
    """`100.64.a.b/16` from the second and third octet of the node's subnet."""
    octets = subnet.network_address.packed
    return IPv4Interface(f"100.64.{octets[1]}.{octets[2]}/16")


def ndmz_ipv6(address: IPv4Address) -> IPv6Interface:
    """The DMZ IPv6 address of a network resource from its DMZ IPv4 address."""
    return IPv6Interface(f"fd00::{address.packed[2:].hex()}/64")


# -- overlays ------------------------------------------------------------------------------------------------------


def yggdrasil_address(public_key: bytes) -> IPv6Address:
    """The address that yggdrasil gives to an ed25519 key (32 bytes)."""
    bits = f"{int.from_bytes(public_key) ^ (1 << 256) - 1:0256b}"
    ones = len(bits) - len(bits.lstrip("1"))
    rest = bits[ones + 1 :].ljust(112, "0")[:112]
    return IPv6Address(bytes([0x02, ones]) + int(rest, 2).to_bytes(14))


def yggdrasil_subnet(public_key: bytes) -> IPv6Network:
    """The /64 that yggdrasil routes to the node with this key."""
    head = bytearray(yggdrasil_address(public_key).packed[:8])
    head[0] |= 0x01
    return IPv6Network((bytes(head) + bytes(8), 64))


def hashed_address(prefix: IPv6Network, source: bytes) -> IPv6Address:
    """`prefix` (/64) followed by the first 8 bytes of sha512(source)."""
    return prefix.network_address + int.from_bytes(hashlib.sha512(source).digest()[:8])


def planetary_address(prefix: IPv6Network, mac: str) -> IPv6Address:
    """The planetary address of a guest with this MAC."""
    return hashed_address(prefix, mac_bytes(mac))


def first_host(prefix: IPv6Network) -> IPv6Address:
    """`::1` of a /64, the gateway that guests of an overlay use."""
    return prefix.network_address + 1


def x25519_from_seed(seed: bytes) -> bytes:
    """The X25519 private key of an ed25519 seed (32 bytes), clamped, as mycelium uses it."""
    _, secret = crypto_sign_seed_keypair(seed)
    scalar = bytearray(hashlib.sha512(secret[:32]).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    return bytes(scalar)


def x25519_public(private_key: bytes) -> bytes:
    public: bytes = crypto_scalarmult_base(private_key)
    return public


def mycelium_address(x25519_public_key: bytes) -> IPv6Address:
    """The address of a mycelium 0.7 key: 16 bytes of BLAKE3, byte 0 = 4 + parity of the old byte 0's one bits."""
    digest = bytearray(blake3_small(x25519_public_key)[:16])
    digest[0] = 0x04 | digest[0].bit_count() & 1
    return IPv6Address(bytes(digest))
