"""Keys as `wg` makes them."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest

from client.wireguard_key import WireGuardKey
from tfchain.keys import Identity


def test_a_key_survives_its_text() -> None:
    key = WireGuardKey.generate()
    assert WireGuardKey.from_private(key.private) == key


def test_keys_are_clamped() -> None:
    secret = WireGuardKey.generate().secret
    assert secret[0] & 7 == 0
    assert secret[31] & 0xC0 == 0x40


@pytest.mark.skipif(not shutil.which("wg"), reason="wg is not installed: apt-get install wireguard-tools")
def test_wg_finds_the_same_public_key() -> None:
    key = WireGuardKey.generate()
    done = subprocess.run(
        ["wg", "pubkey"], input=key.private, capture_output=True, text=True, check=True, timeout=10
    )
    assert done.stdout.strip() == key.public


def test_the_users_key_follows_from_his_identity_and_the_network() -> None:
    identity, other = Identity.generate("ed25519"), Identity.generate("ed25519")
    assert WireGuardKey.of_user(identity, "lan") == WireGuardKey.of_user(identity, "lan")
    assert WireGuardKey.of_user(identity, "lan") != WireGuardKey.of_user(identity, "wan")
    assert WireGuardKey.of_user(identity, "lan") != WireGuardKey.of_user(other, "lan")


def test_keys_whose_signatures_vary_are_refused() -> None:
    with pytest.raises(ValueError, match="use an ed25519 key"):
        WireGuardKey.of_user(Identity.generate("sr25519"), "lan")


@pytest.mark.parametrize("text", ["", "abc", base64.b64encode(b"short").decode(), "=" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is that of base64, or ours
        WireGuardKey.from_private(text)


def test_the_secret_is_not_shown() -> None:
    key = WireGuardKey.generate()
    assert key.private not in repr(key)
    assert key.public in repr(key)
