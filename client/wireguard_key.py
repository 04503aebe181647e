"""WireGuard keys: X25519 in base64, as `wg` prints them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from nacl.bindings import crypto_scalarmult_base

from gridtypes import Signer

_ACCESS = b"access to the network "


@dataclass(frozen=True, slots=True)
class WireGuardKey:
    """A secret key.  `repr` does not show it."""

    secret: bytes

    @classmethod
    def generate(cls) -> WireGuardKey:
        return cls(_clamp(secrets.token_bytes(32)))

    @classmethod
    def from_private(cls, text: str) -> WireGuardKey:
        """Raises ValueError when the text is no key."""
        raw = base64.b64decode(text, validate=True)
        if len(raw) != 32:
            raise ValueError(f"a WireGuard key has 32 bytes, this one {len(raw)}")
        return cls(raw)

    @classmethod
    def of_user(cls, key: Signer, network: str) -> WireGuardKey:
        """The key of the user's own machine in a network.

        It follows from the user's ed25519 key (whose signatures are deterministic), so nothing has to be kept.
        Raises ValueError for keys of another type.
        """
        if key.type != "ed25519":
            raise ValueError(f"a key of type {key.type} signs differently every time; use an ed25519 key")
        return cls(_clamp(hashlib.sha256(key.sign(_ACCESS + network.encode())).digest()))

    @property
    def private(self) -> str:
        return base64.b64encode(self.secret).decode()

    @property
    def public(self) -> str:
        return base64.b64encode(crypto_scalarmult_base(self.secret)).decode()

    def __repr__(self) -> str:
        return f"WireGuardKey(public={self.public})"


def _clamp(raw: bytes) -> bytes:
    scalar = bytearray(raw)
    scalar[0] &= 248
    scalar[31] = (scalar[31] & 127) | 64
    return bytes(scalar)
