"""Extrinsics of version 4: the envelope, the era, and the bytes that are signed.

The call inside stays encoded here; its meaning is the registry's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from tfchain.codec.hashing import blake2_256
from tfchain.codec.scale import Reader, ScaleError, blob, compact, uint

SIGNED = 0x84
UNSIGNED = 0x04
SIGNATURE_KINDS = ("ed25519", "sr25519", "ecdsa")
"""Kinds of signature; the place is the variant's byte."""
SIGNATURE_LENGTHS = (64, 64, 65)
LONGEST_PLAIN_PAYLOAD = 256
"""Longer payloads are hashed before they are signed."""


@dataclass(frozen=True, slots=True)
class Era:
    """How long an extrinsic is valid: `period` blocks from a birth block; period 0 means for ever."""

    period: int = 0
    phase: int = 0

    def encode(self) -> bytes:
        if not self.period:
            return b"\0"
        factor = max(self.period >> 12, 1)
        low = min(15, max(1, self.period.bit_length() - 2))
        return uint(low | self.phase // factor << 4, 2)

    @classmethod
    def read(cls, reader: Reader) -> Era:
        first = reader.byte()
        if first == 0:
            return cls()
        both = first | reader.byte() << 8
        period = 2 << (both & 15)
        phase = (both >> 4) * max(period >> 12, 1)
        if period < 4 or phase >= period:
            raise ScaleError(f"era 0x{both:04x} is not valid: period {period}, phase {phase}")
        return cls(period, phase)

    @classmethod
    def mortal(cls, period: int, current: int) -> Era:
        """An era of at least `period` blocks that begins at block `current`."""
        period = min(max(1 << max(period - 1, 0).bit_length(), 4), 1 << 16)
        factor = max(period >> 12, 1)
        return cls(period, current % period // factor * factor)

    def birth(self, current: int) -> int:
        """The block whose hash is signed, seen from block `current`."""
        if not self.period:
            return 0
        return (max(current, self.phase) - self.phase) // self.period * self.period + self.phase

    def death(self, current: int) -> int | None:
        """The first block in which the extrinsic is no longer valid; None when there is none."""
        return self.birth(current) + self.period if self.period else None


@dataclass(frozen=True, slots=True)
class SignedExtra:
    """The signed part beside the call."""

    era: Era
    nonce: int
    tip: int

    def encode(self) -> bytes:
        return self.era.encode() + compact(self.nonce) + compact(self.tip)


@dataclass(frozen=True, slots=True)
class Signer:
    account: bytes
    kind: str
    signature: bytes
    extra: SignedExtra


@dataclass(frozen=True, slots=True)
class Extrinsic:
    """An extrinsic; `signer` is None for an inherent."""

    call: bytes
    signer: Signer | None = None

    def encode(self) -> bytes:
        """All bytes, with the length in front."""
        if self.signer is None:
            return blob(bytes((UNSIGNED,)) + self.call)
        signer = self.signer
        kind = bytes((SIGNATURE_KINDS.index(signer.kind),))
        return blob(
            bytes((SIGNED, 0)) + signer.account + kind + signer.signature + signer.extra.encode() + self.call
        )


def extrinsic_hash(encoded: bytes) -> bytes:
    """The hash by which an extrinsic is known; over all bytes, length prefix included."""
    return blake2_256(encoded)


def decode_extrinsic(encoded: bytes) -> Extrinsic:
    """Read the envelope; raises `ScaleError` for anything but version 4 with an account id as signer."""
    outer = Reader(encoded)
    reader = Reader(outer.blob())
    outer.done()
    version = reader.byte()
    if version == UNSIGNED:
        return Extrinsic(reader.take(reader.left))
    if version != SIGNED:
        raise ScaleError(f"extrinsic version byte is 0x{version:02x}; 0x84 (signed) or 0x04 is served")
    if (address := reader.byte()) != 0:
        raise ScaleError(f"the signer's address is of kind {address}; only account ids (0) are served")
    account = reader.take(32)
    kind = reader.byte()
    if kind >= len(SIGNATURE_KINDS):
        raise ScaleError(f"no signature of kind {kind}")
    signature = reader.take(SIGNATURE_LENGTHS[kind])
    era, nonce, tip = Era.read(reader), reader.compact(), reader.compact()
    if nonce >= 1 << 32 or tip >= 1 << 128:
        raise ScaleError(f"nonce {nonce} or tip {tip} is too large")
    signer = Signer(account, SIGNATURE_KINDS[kind], signature, SignedExtra(era, nonce, tip))
    return Extrinsic(reader.take(reader.left), signer)


def signing_payload(
    call: bytes, extra: SignedExtra, spec_version: int, transaction_version: int, genesis: bytes, birth: bytes
) -> bytes:
    """The bytes that are signed; `birth` is the hash of the era's first block (genesis when immortal)."""
    payload = call + extra.encode() + uint(spec_version, 4) + uint(transaction_version, 4) + genesis + birth
    return blake2_256(payload) if len(payload) > LONGEST_PLAIN_PAYLOAD else payload
