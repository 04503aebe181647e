"""End-to-end encryption between twins: secp256k1 key agreement and AES-256-GCM.

The secret key is the 32-byte seed of the twin's secret, whatever its signing key is; the public key, 33 bytes, stands
in the twin's record on the chain (`pk`).
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

import bip39
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rmb.errors import RmbError
from tfchain import secret

PUBLIC_KEY_SIZE: Final = 33
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16


class EncryptionError(RmbError, ValueError):
    """A key that is none, or a cipher that does not open.  The message never shows key or content."""


class EncryptionKey:
    """A twin's key for encryption; `repr` does not show it."""

    __slots__ = ("_key", "public_key")

    def __init__(self, secret_key: bytes) -> None:
        """`secret_key` is a 32-byte big-endian scalar.  Raises EncryptionError."""
        try:
            self._key = ec.derive_private_key(int.from_bytes(secret_key, "big"), ec.SECP256K1())
        except ValueError as error:
            raise EncryptionError("the seed is no secp256k1 key") from error
        self.public_key = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    @classmethod
    def from_secret(cls, text: str) -> EncryptionKey:
        """The key that peers since v1.2.0 take from a mnemonic or hex seed.  Raises EncryptionError."""
        parsed = secret.parse(text)
        if parsed.path:
            raise EncryptionError(
                "a secret with a derivation path has no key for encryption: use a plain one"
            )
        return cls(parsed.seed)

    @classmethod
    def from_mnemonic_before_1_2(cls, mnemonic: str) -> EncryptionKey:
        """The key that peers before v1.2.0 took from a mnemonic: half of its ordinary BIP-39 seed."""
        return cls(bytes(bip39.bip39_to_seed(mnemonic, ""))[:32])

    def shared_with(self, public_key: bytes) -> bytes:
        """The 32-byte key shared with another twin.  Raises EncryptionError when `public_key` is no point."""
        try:
            other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)
        except ValueError as error:
            raise EncryptionError("the other twin's public key is no point of secp256k1") from error
        # The exchange gives the x coordinate alone; libsecp256k1's own default would hash the parity too.
        return hashlib.sha256(self._key.exchange(ec.ECDH(), other)).digest()

    def __repr__(self) -> str:
        return f"<EncryptionKey {self.public_key.hex()}>"


def encrypt(shared_key: bytes, plain: bytes, nonce: bytes | None = None) -> bytes:
    """Nonce, ciphertext and tag, as they stand in the field `cipher`.  The nonce is random unless a test gives it."""
    nonce = os.urandom(NONCE_SIZE) if nonce is None else nonce
    return nonce + AESGCM(shared_key).encrypt(nonce, plain, None)


def decrypt(shared_key: bytes, cipher: bytes) -> bytes:
    """Open the field `cipher`.  Raises EncryptionError."""
    if len(cipher) < NONCE_SIZE + TAG_SIZE:
        raise EncryptionError(f"a cipher has at least {NONCE_SIZE + TAG_SIZE} bytes, this one {len(cipher)}")
    try:
        return AESGCM(shared_key).decrypt(cipher[:NONCE_SIZE], cipher[NONCE_SIZE:], None)
    except InvalidTag as error:
        raise EncryptionError("the cipher does not open with the key of its sender") from error
