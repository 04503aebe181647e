"""SS58 addresses: account ids as people write them."""

from __future__ import annotations

from hashlib import blake2b

import base58

PREFIX = 42
"""The chain's address format (constant `System.SS58Prefix`)."""


class AddressError(ValueError):
    """A text that is no address of this chain."""


def encode_address(account: bytes) -> str:
    """The address of a 32-byte account id."""
    if len(account) != 32:
        raise AddressError(f"an account id has 32 bytes, not {len(account)}")
    body = bytes((PREFIX,)) + account
    return base58.b58encode(body + _checksum(body)).decode()


def decode_address(address: str) -> bytes:
    """The account id of an address; raises `AddressError` for another format or a wrong checksum."""
    try:
        raw = base58.b58decode(address)
    except ValueError as error:
        raise AddressError(f"{address!r} is no base58 text: {error}") from None
    if len(raw) != 35 or raw[0] != PREFIX:
        raise AddressError(f"{address!r} is no address of format {PREFIX}")
    if _checksum(raw[:33]) != raw[33:]:
        raise AddressError(f"{address!r} has a wrong checksum; was it copied completely?")
    return raw[1:33]


def _checksum(body: bytes) -> bytes:
    return blake2b(b"SS58PRE" + body, digest_size=64).digest()[:2]
