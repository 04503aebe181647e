from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmb.gen2.encryption import EncryptionError, EncryptionKey, decrypt, encrypt

ONE, TWO = EncryptionKey(bytes(31) + b"\1"), EncryptionKey(bytes(31) + b"\2")


@given(st.binary(max_size=1000))
def test_what_one_twin_encrypts_the_other_opens(plain: bytes) -> None:
    cipher = encrypt(ONE.shared_with(TWO.public_key), plain)
    assert len(cipher) == 12 + len(plain) + 16
    assert decrypt(TWO.shared_with(ONE.public_key), cipher) == plain


def test_every_cipher_has_a_nonce_of_its_own() -> None:
    key = ONE.shared_with(TWO.public_key)
    assert len({encrypt(key, b"x")[:12] for _ in range(100)}) == 100


def test_a_touched_cipher_does_not_open() -> None:
    key = ONE.shared_with(TWO.public_key)
    cipher = encrypt(key, b"content")
    for position in range(len(cipher)):
        touched = bytearray(cipher)
        touched[position] ^= 1
        with pytest.raises(EncryptionError, match="does not open"):
            decrypt(key, bytes(touched))
    with pytest.raises(EncryptionError, match="at least 28 bytes, this one 27"):
        decrypt(key, cipher[:27])


def test_keys_that_are_none_are_refused() -> None:
    for secret_key in (bytes(32), b"\xff" * 32):
        with pytest.raises(EncryptionError, match="no secp256k1 key"):
            EncryptionKey(secret_key)
    for public_key in (b"", bytes(33), ONE.public_key[:-1], b"\x04" + bytes(64)):
        with pytest.raises(EncryptionError, match="no point"):
            ONE.shared_with(public_key)
    with pytest.raises(EncryptionError, match="derivation path"):
        EncryptionKey.from_secret("0x" + "11" * 32 + "//node")


def test_a_key_does_not_show_itself() -> None:
    key = EncryptionKey(b"\x11" * 32)
    assert "1111" not in repr(key)
