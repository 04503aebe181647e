"""Envelopes against the golden vectors, and as plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmb.errors import MessageError, SignatureError
from rmb.gen2 import refusals
from rmb.gen2.envelope import Body, Cipher, Envelope, Error, Plain, Request, Response, Signal
from rmb.gen2.session import Session
from tests.shared import report_count, vectors
from tfchain.keys import Identity


@pytest.fixture(scope="module")
def recorded() -> Any:
    return vectors("rmb")


def _session(value: Any) -> Session | None:
    return None if value is None else Session(value["twin"], value["connection"])


def _envelope(value: Any) -> Envelope:
    body: Body | None = None
    if "request" in value:
        body = Request(value["request"]["command"])
    elif "response" in value:
        body = Response()
    elif "error" in value:
        body = Error(value["error"]["code"], value["error"]["message"])
    elif "ping" in value:
        body = Signal.PING
    payload: Plain | Cipher | None = None
    if "plain_hex" in value:
        payload = Plain(bytes.fromhex(value["plain_hex"]))
    elif "cipher_hex" in value:
        payload = Cipher(bytes.fromhex(value["cipher_hex"]))
    return Envelope(
        uid=value["uid"],
        timestamp=value["timestamp"],
        expiration=value["expiration"],
        source=_session(value.get("source")),
        destination=_session(value.get("destination")),
        body=body,
        payload=payload,
        schema=value.get("schema"),
        tags=value.get("tags"),
        federation=value.get("federation"),
        relays=tuple(value["relays"]),
    )


def test_envelopes_are_those_of_the_references(recorded: Any) -> None:
    section = recorded["gen2_challenge"]
    signer = Identity.from_seed(bytes.fromhex(section["ed25519_seed_hex"]))
    for case in section["vectors"]:
        envelope = _envelope(case["envelope"])
        assert envelope.preimage().hex() == case["preimage_hex"], case["name"]
        assert envelope.challenge().hex() == case["md5_hex"], case["name"]
        signed = envelope.signed(signer)
        assert signed.signature is not None
        assert signed.signature.hex() == case["signature_hex"], case["name"]
        assert signed.encode().hex() == case["wire_hex"], case["name"]
        assert Envelope.decode(bytes.fromhex(case["wire_hex"])) == signed, case["name"]
        signed.verify(signer.public_key)
        with pytest.raises(SignatureError):
            signed.verify(Identity.generate().public_key)
    report_count("rmb gen2_challenge", len(section["vectors"]))


def test_the_traps_of_the_challenge(recorded: Any) -> None:
    for case in recorded["gen2_challenge_notes"]["vectors"]:
        if "envelope_a" in case:
            one, two = _envelope(case["envelope_a"]), _envelope(case["envelope_b"])
            assert one != two
            assert one.challenge().hex() == two.challenge().hex() == case["md5_hex"]
        else:
            envelope = _envelope(case["envelope"])
            assert envelope.challenge().hex() == case["md5_hex_rmb_rs"]
            assert envelope.challenge(unset_twin=b"").hex() == case["md5_hex_go_sdk"]
    report_count("rmb gen2_challenge_notes", len(recorded["gen2_challenge_notes"]["vectors"]))


def test_the_order_of_fields_does_not_matter(recorded: Any) -> None:
    """Appending fields 1 to 6 of a message after the others gives the same envelope."""
    wire = bytes.fromhex(recorded["gen2_challenge"]["vectors"][0]["wire_hex"])
    head = 2 + wire[1]
    assert Envelope.decode(wire[head:] + wire[:head]) == Envelope.decode(wire)


def test_unknown_fields_are_ignored() -> None:
    envelope = Envelope(uid="u", body=Request("x"))
    assert Envelope.decode(envelope.encode() + bytes.fromhex("c20103616263")) == envelope


@pytest.mark.parametrize("raw", [b"\x0a", b"\xff" * 10, b"\x0a\x02\xff\xff", b"\x0a\x01\xff"])
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with pytest.raises(MessageError, match="not an envelope"):
        Envelope.decode(raw)


def test_a_missing_or_empty_signature_is_never_good() -> None:
    envelope = Envelope(uid="u", source=Session(7), destination=Session(8), body=Response())
    for signature in (None, b"", b"e" + bytes(63), b"e" + bytes(64), b"x" + bytes(64)):
        with pytest.raises(SignatureError):
            replace(envelope, signature=signature).verify(Identity.generate().public_key)


def test_a_signature_over_an_unset_destination_is_read_in_both_dialects() -> None:
    key = Identity.generate()
    envelope = Envelope(uid="u", source=Session(7), body=Signal.PING)
    for unset in (b"0", b""):
        signature = b"e" + key.sign(envelope.challenge(unset))
        replace(envelope, signature=signature).verify(key.public_key)


def test_a_relay_refuses_requests_only_and_says_nothing_more() -> None:
    request = Envelope(uid="u", source=Session(7, "s"), body=Request("x"), payload=Plain(b"1"))
    refusal = refusals.from_relay(request, "destination offline", 100, Session(7, "s"))
    assert refusal == Envelope(
        uid="u",
        timestamp=100,
        expiration=300,
        destination=Session(7, "s"),
        body=Error(0, "destination offline"),
    )
    assert refusals.is_from_relay(refusal)
    for body in (Response(), Error(1, "x"), Signal.PONG, None):
        assert refusals.from_relay(replace(request, body=body), "no", 100) is None
    assert not refusals.is_from_relay(Envelope(uid="u", body=Response()))
    assert not refusals.is_from_relay(Envelope(uid="u", source=Session(7), body=Error(0, "x")))


def test_a_peer_refuses_to_the_full_source() -> None:
    request = Envelope(
        uid="u", expiration=60, source=Session(7, "s"), body=Request("x"), schema="application/json"
    )
    refusal = refusals.from_peer(
        request, refusals.Code.SIGNATURE, "invalid envelope signature: no", 5, Session(8)
    )
    assert (refusal.uid, refusal.destination, refusal.source) == ("u", Session(7, "s"), Session(8))
    assert refusal.body == Error(104, "invalid envelope signature: no")
    assert (refusal.timestamp, refusal.expiration) == (5, 60)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sessions = st.none() | st.builds(Session, st.integers(0, 2**32 - 1), st.none() | texts)
bodies = st.one_of(
    st.none(),
    st.builds(Request, texts),
    st.just(Response()),
    st.builds(Error, st.integers(0, 2**32 - 1), texts),
    st.sampled_from(Signal),
)
payloads = st.none() | st.builds(Plain, st.binary()) | st.builds(Cipher, st.binary())


@given(
    st.builds(
        Envelope,
        uid=texts,
        timestamp=st.integers(0, 2**64 - 1),
        expiration=st.integers(0, 2**64 - 1),
        source=sessions,
        destination=sessions,
        body=bodies,
        payload=payloads,
        schema=st.none() | texts,
        tags=st.none() | texts,
        signature=st.none() | st.binary(),
        federation=st.none() | texts,
        relays=st.lists(texts).map(tuple),
    )
)
def test_every_envelope_survives_coding(envelope: Envelope) -> None:
    assert Envelope.decode(envelope.encode()) == envelope


@given(st.binary())
def test_whatever_comes_is_an_envelope_or_a_message_error(raw: bytes) -> None:
    try:
        Envelope.decode(raw).challenge()
    except MessageError:
        pass
