"""Verdicts on signatures agree with the Go packages, and what we sign verifies."""

from __future__ import annotations

from typing import Any

import pytest
import sr25519
from nacl.signing import SigningKey

from gridtypes import (
    Deployment,
    SignatureError,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    WalletSigner,
)
from tests.gridtypes.golden import raw, section
from tests.shared import report_count

TWIN = TwinId(26)


class Ed25519:
    type = "ed25519"

    def __init__(self, seed: bytes = b"\1" * 32) -> None:
        self._key = SigningKey(seed)
        self.public = bytes(self._key.verify_key)

    def sign(self, message: bytes) -> bytes:
        return bytes(self._key.sign(message).signature)


class Sr25519:
    type = "sr25519"

    def __init__(self, seed: bytes = b"\1" * 32) -> None:
        self._pair = sr25519.pair_from_seed(seed)
        self.public = bytes(self._pair[0])

    def sign(self, message: bytes) -> bytes:
        return bytes(sr25519.sign(self._pair, message))


def deployment(style: str = "") -> Deployment:
    requirement = SignatureRequirement(
        requests=[SignatureRequest(TWIN, weight=1)], weight_required=1, signature_style=style
    )
    return Deployment(twin_id=TWIN, metadata="m", signature_requirement=requirement)


def compare_verdict(entry: dict[str, Any]) -> None:
    keys = {one["twin"]: bytes.fromhex(one["public_key_hex"]) for one in entry["keys"]}

    def key_of(twin: TwinId) -> bytes:
        if twin not in keys:
            raise LookupError("unknown twin")
        return keys[twin]

    signed = Deployment.from_json(raw(entry, "json"))
    if entry["verify_error"] is None:
        signed.verify(key_of)
        assert signed.challenge_hash().hex() == entry["md5_hex"]
        return
    with pytest.raises(SignatureError) as caught:
        signed.verify(key_of)
    assert str(caught.value) == entry["verify_error"]


def test_every_verdict_agrees() -> None:
    entries = section("verify")
    for entry in entries:
        try:
            compare_verdict(entry)
        except (AssertionError, SignatureError) as error:
            raise AssertionError(f"{entry['id']} ({entry['title']}): {error}") from error
    report_count("gridtypes verify", len(entries))


@pytest.mark.parametrize("key", [Ed25519(), Sr25519()], ids=["ed25519", "sr25519"])
def test_what_we_sign_verifies(key: Ed25519 | Sr25519) -> None:
    deployment().sign(TWIN, key).verify(lambda twin: key.public)


def test_signing_makes_a_copy() -> None:
    unsigned = deployment()
    assert unsigned.sign(TWIN, Ed25519()) != unsigned
    assert not unsigned.signature_requirement.signatures


def test_signing_again_replaces_the_signature() -> None:
    other = Ed25519(b"\2" * 32)
    signed = deployment().sign(TWIN, Ed25519()).sign(TWIN, other)
    assert len(signed.signature_requirement.signatures) == 1
    signed.verify(lambda twin: other.public)


def test_a_wallet_signs_the_wrapped_hash() -> None:
    key = Ed25519()
    signed = deployment("polka-wallet").sign(TWIN, WalletSigner(key))
    signed.verify(lambda twin: key.public)
    with pytest.raises(SignatureError, match="failed to verify signature"):
        deployment("polka-wallet").sign(TWIN, key).verify(lambda twin: key.public)


def test_another_key_does_not_verify() -> None:
    with pytest.raises(SignatureError, match="failed to verify signature"):
        deployment().sign(TWIN, Ed25519()).verify(lambda twin: Ed25519(b"\2" * 32).public)


def test_a_failed_key_look_up_keeps_its_cause() -> None:
    def fail(twin: TwinId) -> bytes:
        raise ConnectionError("chain is away")

    with pytest.raises(SignatureError, match="twin '26': chain is away") as caught:
        deployment().sign(TWIN, Ed25519()).verify(fail)
    assert isinstance(caught.value.__cause__, ConnectionError)
