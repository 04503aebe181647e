"""Identities: the key of a twin, and how it is kept on disk.

A key file holds one line: a secret text as `tfchain.secret` reads it, after `sr25519:` when it is of that type.  It is
written once, mode 0600, and never replaced or deleted by us: a lost key is a lost twin.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final, Literal, Self

import sr25519
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tfchain import key_file, secret
from tfchain.codec.address import encode_address

KeyType = Literal["ed25519", "sr25519"]
KEY_TYPES: Final[tuple[KeyType, ...]] = ("ed25519", "sr25519")

PUBLIC_KEY_SIZE = 32
SIGNATURE_SIZE = 64


class Identity:
    """A key pair: signs, and names itself by public key and address.  Neither `repr` nor pickling shows the secret."""

    __slots__ = ("_ed25519", "_public_key", "_secret_text", "_sr25519", "_type")

    def __init__(self, secret_text: str, type: KeyType = "ed25519") -> None:
        """Make the key of a secret text (`tfchain.secret`); raises `secret.SecretError` and ValueError."""
        if type not in KEY_TYPES:
            raise ValueError(f"key type {type!r} is unknown: ed25519 or sr25519")
        parsed = secret.parse(secret_text)
        self._type: KeyType = type
        self._secret_text = secret_text.strip()
        self._ed25519: SigningKey | None = None
        self._sr25519: tuple[bytes, bytes] | None = None
        if type == "ed25519":
            self._ed25519 = secret.ed25519_key(parsed)
            self._public_key = bytes(self._ed25519.verify_key)
        else:
            self._sr25519 = secret.sr25519_pair(parsed)
            self._public_key = self._sr25519[0]

    @classmethod
    def generate(cls, type: KeyType = "ed25519") -> Self:
        """A new random key."""
        return cls.from_seed(secrets.token_bytes(secret.SEED_SIZE), type)

    @classmethod
    def from_seed(cls, seed: bytes, type: KeyType = "ed25519") -> Self:
        """The key of a 32-byte mini secret."""
        if len(seed) != secret.SEED_SIZE:
            raise secret.SecretError(f"a seed has {secret.SEED_SIZE} bytes, this one {len(seed)}")
        return cls(f"0x{seed.hex()}", type)

    @classmethod
    def from_mnemonic(cls, mnemonic: str, type: KeyType = "ed25519") -> Self:
        """The key of a mnemonic, or of any other secret text, for example `//Alice`."""
        return cls(mnemonic, type)

    @classmethod
    def load(cls, path: str | os.PathLike[str], type: KeyType = "ed25519") -> Self:
        """Read a key file.  `type` is for a file that names none.

        Raises FileNotFoundError when there is no file, `key_file.KeyFileError` when it holds no key; such a file is
        left as it is.
        """
        text = key_file.read(Path(path))
        named, colon, rest = text.partition(":")
        for known in KEY_TYPES:
            if colon and named.strip() == known:
                text, type = rest, known
        try:
            return cls(text, type)
        except secret.SecretError as error:
            raise key_file.KeyFileError(
                f"{path} holds no key: {error}; the file was left as it is, put the right one in its place"
            ) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key, mode 0600, all or nothing.

        Raises `key_file.KeyFileError` when the path already holds something else: no key is ever replaced.
        """
        mark = "" if self._type == "ed25519" else f"{self._type}:"
        key_file.write(Path(path), f"{mark}{self._secret_text}\n")

    @classmethod
    def load_or_generate(cls, path: str | os.PathLike[str], type: KeyType = "ed25519") -> Self:
        """Read a key file; make and save a new key only where no file is."""
        try:
            return cls.load(path, type)
        except FileNotFoundError:
            identity = cls.generate(type)
            identity.save(path)
            return identity

    @property
    def type(self) -> KeyType:
        return self._type

    @property
    def public_key(self) -> bytes:
        """32 bytes; also the account id on the chain."""
        return self._public_key

    @property
    def address(self) -> str:
        """SS58 text of the account."""
        return encode_address(self._public_key)

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature; sr25519 uses the signing context `substrate`."""
        if self._ed25519 is not None:
            return self._ed25519.sign(message).signature
        return bytes(sr25519.sign(self._sr25519, message))

    def __repr__(self) -> str:
        return f"<Identity {self._type} {self.address}>"

    def __reduce__(self) -> str:
        raise TypeError("an Identity is not pickled: its secret would leave the process")


def verify(public_key: bytes, message: bytes, signature: bytes, type: KeyType) -> bool:
    """Whether `signature` is that of `public_key` over `message`; malformed input is no signature."""
    if len(public_key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        if type == "ed25519":
            VerifyKey(public_key).verify(message, signature)
            return True
        return bool(sr25519.verify(signature, message, public_key))
    except (BadSignatureError, ValueError):
        return False
