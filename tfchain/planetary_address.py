"""The address of a twin on the planetary network (Yggdrasil 0.4), derived from its ed25519 public key.

Yggdrasil takes the key of its node; a twin whose daemon runs with the twin's own key is found without any directory.
"""

from __future__ import annotations

from ipaddress import IPv6Address

KEY_BITS = 256
_ADDRESS_PREFIX = 0x02
_TAIL_SIZE = 14


def planetary_address(public_key: bytes) -> IPv6Address:
    """The 200::/7 address of a node with this key.

    `02`, the number of leading ones of the inverted key, then the 112 bits after these ones and the zero behind them.
    """
    if len(public_key) * 8 != KEY_BITS:
        raise ValueError(f"an ed25519 public key has 32 bytes, this one {len(public_key)}")
    inverted = int.from_bytes(public_key, "big") ^ ((1 << KEY_BITS) - 1)
    bits = f"{inverted:0{KEY_BITS}b}"
    ones = len(bits) - len(bits.lstrip("1"))
    tail = bits[ones + 1 :][: _TAIL_SIZE * 8].ljust(_TAIL_SIZE * 8, "0")
    return IPv6Address(bytes((_ADDRESS_PREFIX, ones % 256)) + int(tail, 2).to_bytes(_TAIL_SIZE, "big"))
