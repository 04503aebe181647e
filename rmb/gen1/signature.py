"""Signatures of generation 1: hex of type byte and signature, over the 16 bytes of a challenge."""

from __future__ import annotations

from typing import Final

from rmb import typed_signature
from rmb.errors import SignatureError
from rmb.typed_signature import Signer

EMPTY: Final = "signature field is empty, visit the project github repo for instructions to update"
MISMATCH: Final = "couldn't verify signature"


def sign(challenge: bytes, signer: Signer) -> str:
    """The signature as it stands in `sig`: 130 lower-case hex digits."""
    return typed_signature.sign(challenge, signer).hex()


def verify(challenge: bytes, signature: str, public_key: bytes) -> None:
    """Check `signature` (hex, any case).  Raises SignatureError with the text of the reference daemon."""
    if not signature:
        raise SignatureError(EMPTY)
    try:
        raw = bytes.fromhex(signature)
    except ValueError as error:
        raise SignatureError(f"couldn't decode signature: {error}") from error
    if len(raw) != typed_signature.SIZE:
        raise SignatureError(
            f"couldn't decode signature: expected {typed_signature.SIZE} bytes, found {len(raw)}"
        )
    if not typed_signature.fits(challenge, raw, public_key):
        raise SignatureError(MISMATCH)
