"""Keys: derivation as Substrate's tools do it, signatures, and what never leaves an Identity."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared import report_count, vectors
from tfchain.codec.address import decode_address
from tfchain.keys import KEY_TYPES, Identity, KeyType, verify
from tfchain.secret import SecretError


def test_accounts_of_the_vectors_are_derived() -> None:
    rows = vectors("tfchain")["accounts"]["rows"]
    for row in rows:
        identity = Identity(row["uri"], row["key_type"])
        assert "0x" + identity.public_key.hex() == row["public_key"], row["label"]
        assert identity.address == row["ss58_42"], row["label"]
        assert decode_address(row["ss58_42"]) == identity.public_key
    report_count("tfchain accounts", len(rows))


def test_mini_secrets_of_the_vectors_are_derived() -> None:
    secrets = vectors("tfchain")["accounts"]["mini_secret"]
    for mnemonic, seed in secrets.items():
        for kind in KEY_TYPES:
            assert (
                Identity(mnemonic, kind).public_key
                == Identity.from_seed(bytes.fromhex(seed[2:]), kind).public_key
            )
    report_count("tfchain mini secrets", len(secrets))


@pytest.mark.parametrize("kind", KEY_TYPES)
@given(message=st.binary(max_size=600))
def test_a_signature_verifies_for_its_message_only(kind: KeyType, message: bytes) -> None:
    identity = Identity.from_seed(bytes(range(32)), kind)
    signature = identity.sign(message)
    assert len(signature) == 64
    assert verify(identity.public_key, message, signature, kind)
    assert not verify(identity.public_key, message + b"x", signature, kind)
    assert not verify(identity.public_key, message, signature[:-1], kind)
    other: KeyType = "sr25519" if kind == "ed25519" else "ed25519"
    assert not verify(identity.public_key, message, signature, other)


def test_generated_keys_differ() -> None:
    assert Identity.generate().public_key != Identity.generate().public_key
    assert Identity.generate("sr25519").type == "sr25519"


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_the_secret_shows_nowhere(kind: KeyType) -> None:
    seed = bytes(range(1, 33))
    identity = Identity.from_seed(seed, kind)
    assert seed.hex() not in repr(identity) + str(identity)
    assert not hasattr(identity, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(identity)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "a secret is"),
        ("0x1234", "64 hex digits"),
        ("zz" * 32, "64 hex digits"),
        ("bottom drive obey lake curtain smoke basket hold race lonely fit fit", "12 words"),
        ("one two three", "3 words"),
        ("//Alice/soft", "hard junctions"),
        ("x" * 5000, "a secret is"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(text: str, part: str) -> None:
    with pytest.raises(SecretError, match=part) as caught:
        Identity(text)
    words = [word for word in text.split() if len(word) > 3]
    assert not any(word in str(caught.value) for word in words if word != "one")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'ecdsa' is unknown"):
        Identity("//Alice", "ecdsa")  # type: ignore[arg-type]  # what a configuration may hold


def test_soft_derivation_leads_to_one_key() -> None:
    first, second = Identity("//Alice/shop/1", "sr25519"), Identity("//Alice/shop/1", "sr25519")
    assert first.public_key == second.public_key != Identity("//Alice", "sr25519").public_key
    assert verify(first.public_key, b"m", first.sign(b"m"), "sr25519")
