"""Checking signatures of both kinds of key."""

from __future__ import annotations

import nacl.exceptions
import nacl.signing
import sr25519


def verifies(kind: str, account: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `account` signed; false for a kind that no client uses (ecdsa)."""
    if kind == "ed25519":
        try:
            nacl.signing.VerifyKey(account).verify(message, signature)
        except (nacl.exceptions.BadSignatureError, ValueError):
            return False
        return True
    if kind == "sr25519":
        try:
            return bool(sr25519.verify(signature, message, account))
        except (ValueError, TypeError):
            return False
    return False


def either_verifies(account: bytes, message: bytes, digits: bytes) -> bool:
    """Whether the hex digits are a signature of either kind."""
    try:
        signature = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return False
    return len(signature) == 64 and any(
        verifies(kind, account, message, signature) for kind in ("ed25519", "sr25519")
    )
