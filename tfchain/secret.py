"""Secret texts: `mnemonic//hard/soft///password`, `0x<seed>//hard`, or a bare path of the development mnemonic.

The forms and derivations are those of Substrate's key tools, so that a key made there is the same key here.
Both key types start from a 32-byte mini secret; for a mnemonic that is PBKDF2 over its *entropy*, not the BIP39 seed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import bip39
import sr25519
from nacl.signing import SigningKey

from tfchain.codec import scale

SEED_SIZE = 32
DEVELOPMENT_MNEMONIC = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""Publicly known; a secret that is only a path (`//Alice`) starts from it."""

_FORM = re.compile(r"(?P<phrase>[^/]*)(?P<path>(?://?[^/]+)*)(?:///(?P<password>.*))?", re.DOTALL)
_JUNCTION = re.compile(r"(//?)([^/]+)")
_HEX_SEED = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_MAX_TEXT = 4096
_CHAIN_CODE_SIZE = 32


class SecretError(ValueError):
    """A secret text that leads to no key.  The message never shows the text."""


@dataclass(frozen=True, slots=True)
class Junction:
    hard: bool
    chain_code: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A mini secret and the path that leads from it to the key."""

    seed: bytes
    path: tuple[Junction, ...]


def parse(text: str) -> Secret:
    """Read a secret text; raises `SecretError`."""
    text = text.strip()
    form = _FORM.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if form is None or not text:
        raise SecretError(
            "a secret is a mnemonic or 64 hex digits, then //hard, /soft and ///password as wanted"
        )
    phrase = " ".join(form["phrase"].split()) or DEVELOPMENT_MNEMONIC
    path = tuple(_junction(hard == "//", name) for hard, name in _JUNCTION.findall(form["path"]))
    return Secret(_mini_secret(phrase, form["password"] or ""), path)


def ed25519_key(secret: Secret) -> SigningKey:
    """The ed25519 key of a secret; soft junctions do not exist for it."""
    seed = secret.seed
    for junction in secret.path:
        if not junction.hard:
            raise SecretError("ed25519 keys have hard junctions (//) only; the secret has a soft one (/)")
        material = scale.text("Ed25519HDKD") + seed + junction.chain_code
        seed = hashlib.blake2b(material, digest_size=SEED_SIZE).digest()
    return SigningKey(seed)


def sr25519_pair(secret: Secret) -> tuple[bytes, bytes]:
    """Public key (32 bytes) and secret key (64 bytes) of an sr25519 key."""
    public, private = sr25519.pair_from_seed(secret.seed)
    for junction in secret.path:
        derive = sr25519.hard_derive_keypair if junction.hard else sr25519.derive_keypair
        _, public, private = derive((junction.chain_code, public, private), b"")
    return public, private


def _mini_secret(phrase: str, password: str) -> bytes:
    if hexadecimal := _HEX_SEED.fullmatch(phrase):
        return bytes.fromhex(hexadecimal[1])
    if len(phrase.split()) == 1:
        raise SecretError(
            f"a seed has 64 hex digits after 0x; the secret is one word of {len(phrase)} characters"
        )
    try:
        return bytes(bip39.bip39_to_mini_secret(phrase, password))
    except ValueError:
        count = len(phrase.split())
        raise SecretError(
            f"the {count} words are no BIP39 mnemonic: a word or the checksum is wrong"
        ) from None


def _junction(hard: bool, name: str) -> Junction:
    """The chain code of a junction: a number as u64, anything else as SCALE text, hashed when over 32 bytes."""
    if name.isascii() and name.isdigit() and int(name) < 1 << 64:
        code = int(name).to_bytes(8, "little")
    else:
        code = scale.text(name)
    if len(code) > _CHAIN_CODE_SIZE:
        code = hashlib.blake2b(code, digest_size=_CHAIN_CODE_SIZE).digest()
    return Junction(hard, code.ljust(_CHAIN_CODE_SIZE, b"\0"))
