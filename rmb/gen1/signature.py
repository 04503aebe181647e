"""Signatures of generation 1: hex of one type byte and 64 bytes, over the 16 bytes of a challenge.

The type byte chooses the algorithm, the signer's 32-byte account id on the chain is the key, so that a twin may
be verified with either.
"""

from __future__ import annotations

from typing import Final, Protocol

from rmb.errors import SignatureError
from tfchain.keys import KeyType
from tfchain.keys import verify as verify_key

SIGNATURE_SIZE: Final = 65
_PREFIXES: Final[dict[KeyType, bytes]] = {"ed25519": b"e", "sr25519": b"s"}

EMPTY: Final = "signature field is empty, visit the project github repo for instructions to update"
MISMATCH: Final = "couldn't verify signature"


class Signer(Protocol):
    """A twin's secret key, for example `tfchain.keys.Identity`."""

    @property
    def type(self) -> KeyType: ...

    @property
    def public_key(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


def sign(challenge: bytes, signer: Signer) -> str:
    """The signature as it stands in `sig`: 130 lower-case hex digits."""
    return (_PREFIXES[signer.type] + signer.sign(challenge)).hex()


def verify(challenge: bytes, signature: str, public_key: bytes) -> None:
    """Check `signature` (hex, any case).  Raises SignatureError with the text of the reference daemon."""
    if not signature:
        raise SignatureError(EMPTY)
    try:
        raw = bytes.fromhex(signature)
    except ValueError as error:
        raise SignatureError(f"couldn't decode signature: {error}") from error
    if len(raw) != SIGNATURE_SIZE:
        raise SignatureError(f"couldn't decode signature: expected {SIGNATURE_SIZE} bytes, found {len(raw)}")
    if not verify_raw(challenge, raw, public_key):
        raise SignatureError(MISMATCH)


def verify_raw(data: bytes, signature: bytes, public_key: bytes) -> bool:
    """True when the 65 bytes of `signature` fit.  Raises SignatureError for an unknown type byte."""
    for kind, prefix in _PREFIXES.items():
        if signature[:1] == prefix:
            return verify_key(public_key, data, signature[1:], kind)
    raise SignatureError(f"unrecognized signature prefix {signature[:1].hex()}")
