"""The generation 2 sections of the golden vectors that need no envelope."""

from __future__ import annotations

from typing import Any

import pytest

from rmb.errors import MessageError
from rmb.gen2.encryption import EncryptionKey, decrypt, encrypt
from rmb.gen2.session import Session, parse_stream_id
from rmb.gen2.tags import is_fail_fast
from rmb.gen2.token import ExpiredToken, Token, TokenError, encode, make_token
from tests.shared import report_count, vectors
from tfchain.keys import Identity


@pytest.fixture(scope="module")
def recorded() -> Any:
    return vectors("rmb")


def test_tokens_are_those_of_the_references(recorded: Any) -> None:
    section = recorded["jwt"]
    signer = Identity.from_seed(bytes.fromhex(section["ed25519_seed_hex"]))
    for case in section["vectors"]:
        token = encode(case["header_json"].encode(), case["claims_json"].encode(), signer)
        assert token == case["token"], case["name"]
        assert len(case["signing_input"]) == case["signing_input_length"]
        read = Token.parse(case["token"])
        read.verify(signer.public_key, read.expires_at)
        with pytest.raises(ExpiredToken, match="jwt has expired"):
            read.verify(signer.public_key, read.expires_at + 1)
        if refused := case.get("token_as_signed_by_go_sdk"):
            with pytest.raises(TokenError, match="signature verification failed"):
                Token.parse(refused).verify(signer.public_key, read.expires_at)
    report_count("rmb jwt", len(section["vectors"]))


def test_our_tokens_have_the_form_of_the_rust_peer(recorded: Any) -> None:
    section = recorded["jwt"]
    signer = Identity.from_seed(bytes.fromhex(section["ed25519_seed_hex"]))
    by_name = {case["name"]: case["token"] for case in section["vectors"]}
    assert make_token(Session(7), signer, 1_700_000_000, 300) == by_name["rust-style-no-session"]
    assert make_token(Session(7, "cli-1"), signer, 1_700_000_000, 300) == by_name["rust-style-session"]


def test_the_token_in_the_sources_reads(recorded: Any) -> None:
    token = Token.parse(recorded["jwt"]["source_sample"]["token"])
    assert (token.session, token.issued_at, token.expires_at) == (Session(7), 1673267150, 60)


def test_sr25519_tokens_of_others_verify(recorded: Any) -> None:
    section = recorded["sr25519_verify_only"]
    key = bytes.fromhex(section["sr25519_public_hex"])
    tokens = [case["token"] for case in section["vectors"] if "token" in case]
    for token in tokens:
        Token.parse(token).verify(key, 0)
    report_count("rmb sr25519 tokens", len(tokens))


def test_key_agreement(recorded: Any) -> None:
    section = recorded["e2e"]["key_agreement"]
    for case in section:
        one = EncryptionKey(bytes.fromhex(case["secret_a_hex"]))
        two = EncryptionKey(bytes.fromhex(case["secret_b_hex"]))
        assert one.public_key.hex() == case["public_a_hex"]
        assert two.public_key.hex() == case["public_b_hex"]
        assert one.shared_with(two.public_key).hex() == case["shared_key_hex"]
        assert two.shared_with(one.public_key).hex() == case["shared_key_hex"]
    report_count("rmb e2e key agreement", len(section))


def test_encryption(recorded: Any) -> None:
    section = recorded["e2e"]["encryption"]
    for case in section:
        key, plain = bytes.fromhex(case["key_hex"]), bytes.fromhex(case["plain_hex"])
        cipher = bytes.fromhex(case["cipher_field_hex"])
        assert encrypt(key, plain, bytes.fromhex(case["nonce_hex"])) == cipher, case["name"]
        assert decrypt(key, cipher) == plain
    report_count("rmb e2e encryption", len(section))


def test_keys_from_mnemonics_before_and_after_1_2(recorded: Any) -> None:
    section = recorded["identity"]["vectors"]
    for case in section:
        now = EncryptionKey.from_secret(case["mnemonic"])
        before = EncryptionKey.from_mnemonic_before_1_2(case["mnemonic"])
        assert now.public_key == EncryptionKey(bytes.fromhex(case["substrate_mini_secret_hex"])).public_key
        assert before.public_key == EncryptionKey(bytes.fromhex(case["bip39_seed_first_32_hex"])).public_key
        assert (
            EncryptionKey.from_secret(f"0x{case['substrate_mini_secret_hex']}").public_key == now.public_key
        )
    report_count("rmb identity (encryption keys)", len(section))


def test_sessions_and_streams(recorded: Any) -> None:
    for case in recorded["session_id"]["vectors"]:
        session = Session.parse(case["text"])
        assert session == Session(case["twin"], case["connection"])
        assert (str(session), session.stream_key) == (case["text"], case["stream_key"])
    report_count("rmb session_id", len(recorded["session_id"]["vectors"]))
    for case in recorded["stream_message_id"]["vectors"]:
        if case.get("error"):
            with pytest.raises(MessageError):
                parse_stream_id(case["text"])
        else:
            assert parse_stream_id(case["text"]) == (case["ms"], case["seq"])
    report_count("rmb stream_message_id", len(recorded["stream_message_id"]["vectors"]))


def test_fail_fast_tags(recorded: Any) -> None:
    for case in recorded["fail_fast_tag"]["vectors"]:
        assert is_fail_fast(case["tags"]) == case["fail_fast"], case["tags"]
    report_count("rmb fail_fast_tag", len(recorded["fail_fast_tag"]["vectors"]))
