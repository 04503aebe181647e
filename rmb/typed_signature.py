"""Signatures of both generations: one type byte and 64 bytes.

The type byte chooses the algorithm, the signer's 32-byte account id on the chain is the key, so that a twin may be
verified with either.
"""

from __future__ import annotations

from typing import Final, Protocol

from rmb.errors import SignatureError
from tfchain.keys import KeyType
from tfchain.keys import verify as verify_key

SIZE: Final = 65
_PREFIXES: Final[dict[KeyType, bytes]] = {"ed25519": b"e", "sr25519": b"s"}


class Signer(Protocol):
    """A twin's secret key, for example `tfchain.keys.Identity`."""

    @property
    def type(self) -> KeyType: ...

    @property
    def public_key(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


def sign(data: bytes, signer: Signer) -> bytes:
    """Type byte and signature, 65 bytes."""
    return _PREFIXES[signer.type] + signer.sign(data)


def fits(data: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether the signature is that of the key's owner over `data`.  Raises SignatureError for an unknown type byte."""
    for kind, prefix in _PREFIXES.items():
        if signature[:1] == prefix:
            return verify_key(public_key, data, signature[1:], kind)
    raise SignatureError(f"unrecognized signature prefix {signature[:1].hex()}")
