"""The generation 1 sections of the golden vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rmb.errors import MessageError, SignatureError
from rmb.gen1 import time_rules
from rmb.gen1.address import url
from rmb.gen1.message import Message, upload_challenge
from rmb.gen1.signature import sign, verify
from rmb.gen1.uid import split_forward_entry
from rmb.typed_signature import fits
from tests.shared import report_count, vectors
from tfchain.keys import Identity


@pytest.fixture(scope="module")
def recorded() -> Any:
    return vectors("rmb")


def _signer(section: Any) -> Identity:
    return Identity.from_seed(bytes.fromhex(section["ed25519_seed_hex"]))


def test_challenges_and_signatures_are_those_of_the_reference(recorded: Any) -> None:
    section = recorded["gen1_challenge"]
    signer = _signer(section)
    for case in section["vectors"]:
        message = Message.from_json(json.dumps(case["message"]))
        assert message.preimage().decode() == case["preimage_utf8"], case["name"]
        assert message.challenge().hex() == case["md5_hex"], case["name"]
        assert sign(message.challenge(), signer) == case["signature_hex"], case["name"]
        verify(message.challenge(), case["signature_hex"].upper(), signer.public_key)
    report_count("rmb gen1_challenge", len(section["vectors"]))


def test_messages_survive_coding(recorded: Any) -> None:
    for case in recorded["gen1_challenge"]["vectors"]:
        assert json.loads(Message.from_json(json.dumps(case["message"])).to_json()) == case["message"], case[
            "name"
        ]


def test_upload_challenges(recorded: Any) -> None:
    section = recorded["gen1_upload_challenge"]
    signer = _signer(recorded["gen1_challenge"])
    for case in section["vectors"]:
        challenge = upload_challenge(case["timestamp"], case["source"])
        assert challenge.hex() == case["md5_hex"]
        assert sign(challenge, signer) == case["signature_hex"]
    report_count("rmb gen1_upload_challenge", len(section["vectors"]))


def test_urls_of_twins(recorded: Any) -> None:
    for case in recorded["gen1_uri"]["vectors"]:
        assert url(case["address"], case["endpoint"]) == case["url"]
    report_count("rmb gen1_uri", len(recorded["gen1_uri"]["vectors"]))


def test_forward_entries(recorded: Any) -> None:
    for case in recorded["gen1_forward_entry"]["vectors"]:
        if case.get("error"):
            with pytest.raises(MessageError):
                split_forward_entry(case["entry"])
        else:
            assert split_forward_entry(case["entry"]) == (case["id"], case["destination"])
    report_count("rmb gen1_forward_entry", len(recorded["gen1_forward_entry"]["vectors"]))


def test_stamps(recorded: Any) -> None:
    for case in recorded["stamp"]["vectors"]:
        stamped = time_rules.stamp(case["now"], case["timestamp"], case["expiration"])
        assert stamped == (case["out_timestamp"], case["out_expiration"])
    report_count("rmb stamp", len(recorded["stamp"]["vectors"]))


def test_time_to_live(recorded: Any) -> None:
    for case in recorded["ttl"]["vectors"]:
        assert time_rules.ttl(case["now"], case["timestamp"], case["expiration"]) == case["ttl"]
    report_count("rmb ttl", len(recorded["ttl"]["vectors"]))


def test_sr25519_signatures_of_others_verify_and_a_flipped_bit_does_not(recorded: Any) -> None:
    section = recorded["sr25519_verify_only"]
    key = bytes.fromhex(section["sr25519_public_hex"])
    for case in section["vectors"]:
        data, signature = bytes.fromhex(case["message_hex"]), bytes.fromhex(case["signature_hex"])
        assert fits(data, signature, key), case["name"]
        assert not fits(bytes((data[0] ^ 1,)) + data[1:], signature, key), case["name"]
        if len(data) == 16:
            verify(data, case["signature_hex"], key)
    report_count("rmb sr25519_verify_only", len(section["vectors"]))


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("", "signature field is empty, visit the project github repo for instructions to update"),
        ("zz", "couldn't decode signature: "),
        ("65" * 64, "couldn't decode signature: expected 65 bytes, found 64"),
        ("77" + "00" * 64, "unrecognized signature prefix 77"),
        ("65" + "00" * 64, "couldn't verify signature"),
        ("73" + "00" * 64, "couldn't verify signature"),
    ],
)
def test_bad_signatures_are_named(signature: str, text: str) -> None:
    with pytest.raises(SignatureError, match=f"^{text}"):
        verify(bytes(16), signature, Identity.generate().public_key)
