"""Who has to sign a deployment, and who did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self

import sr25519
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from gridtypes.ids import TwinId
from gridtypes.kinds import BOOL, TEXT, U32, U64, ListOf
from gridtypes.record import NestedRecord, Record, member, record

SR25519: Final = "sr25519"
ED25519: Final = "ed25519"
POLKA_WALLET: Final = "polka-wallet"
"""Signature style of browser wallets, which wrap what they sign."""

KEY_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 64


class Signer(Protocol):
    """A key that can sign."""

    @property
    def type(self) -> str:
        """`ed25519` or `sr25519`."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """64 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class WalletSigner:
    """Signs the way browser wallets do, for deployments of style `polka-wallet`."""

    key: Signer

    @property
    def type(self) -> str:
        return self.key.type

    def sign(self, message: bytes, /) -> bytes:
        return self.key.sign(signed_message(message, POLKA_WALLET))


@record
class SignatureRequest(Record):
    """A twin that shall sign."""

    twin_id: TwinId = member(U32)
    required: bool = member(BOOL)
    weight: int = member(U64)


@record
class Signature(Record):
    """A twin's signature."""

    twin_id: TwinId = member(U32)
    signature: str = member(TEXT)
    """Hex."""
    signature_type: str = member(TEXT)
    """`sr25519`; anything else means ed25519."""


@record
class SignatureRequirement(Record):
    """The twins that shall sign, and the sum of weights that has to be reached."""

    requests: Sequence[SignatureRequest] = member(ListOf(NestedRecord(SignatureRequest)))
    weight_required: int = member(U64)
    signatures: Sequence[Signature] = member(ListOf(NestedRecord(Signature)))
    """Not hashed."""
    signature_style: str = member(TEXT)

    def challenge(self) -> bytes:
        requests = b"".join(request.challenge() for request in self.requests)
        return requests + b"%d" % self.weight_required + TEXT.challenge(self.signature_style)

    def signature_of(self, twin: TwinId) -> Signature | None:
        """The first one; others are never looked at."""
        return next((one for one in self.signatures if one.twin_id == twin), None)

    def signed(self, twin: TwinId, signature: bytes, type: str) -> Self:
        """A copy with the twin's signature.  An entry that exists keeps its type, as Go clients do."""
        text = signature.hex()
        entries = list(self.signatures)
        for index, entry in enumerate(entries):
            if entry.twin_id == twin:
                entries[index] = replace(entry, signature=text)
                break
        else:
            entries.append(Signature(twin, text, type))
        return replace(self, signatures=entries)


def signed_message(challenge_hash: bytes, style: str) -> bytes:
    """What is signed: the hash, or for wallets its hex text between `<Bytes>` marks."""
    if style == POLKA_WALLET:
        return b"<Bytes>" + challenge_hash.hex().encode() + b"</Bytes>"
    return challenge_hash


def is_signed(type: str, key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `key` over `message`.  `key` is the account key of a twin."""
    if len(key) != KEY_LENGTH:
        return False
    if type == SR25519:
        return _is_signed_sr25519(key, message, signature)
    if len(signature) != SIGNATURE_LENGTH:
        return False
    try:
        VerifyKey(key).verify(message, signature)
    except (CryptoError, ValueError):
        return False
    return True


def _is_signed_sr25519(key: bytes, message: bytes, signature: bytes) -> bool:
    # Every node cuts longer input and pads shorter; the latter then lacks the marker bit and is refused.
    signature = signature[:SIGNATURE_LENGTH].ljust(SIGNATURE_LENGTH, b"\0")
    if not signature[-1] & 0x80:
        return False
    verify: Any = sr25519.verify
    try:
        return bool(verify(signature, message, key))
    except (TypeError, ValueError):
        return False
