"""Decoding as Go does it, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmb.errors import MessageError
from rmb.gen1.message import Message


def test_missing_keys_and_null_are_zero_values() -> None:
    assert Message.from_json(b"{}") == Message(version=0)
    message = Message.from_json(b'{"ver":1,"err":null,"sig":null,"tag":null,"dst":null,"now":null}')
    assert message == Message(version=1)


def test_keys_match_whatever_their_case_and_unknown_ones_are_ignored() -> None:
    message = Message.from_json(b'{"VER":1,"Cmd":"a.b","dST":[7],"extra":{"deep":[1]}}')
    assert (message.version, message.command, message.destinations) == (1, "a.b", (7,))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "a message is a JSON object, not a list"),
        (b"null", "a message is a JSON object, not null"),
        (b'{"ver":"1"}', "ver is an integer, not a string"),
        (b'{"ver":1.0}', "ver is an integer, not a number"),
        (b'{"ver":true}', "ver is an integer, not a boolean"),
        (b'{"cmd":1}', "cmd is a string, not a number"),
        (b'{"pxy":0}', "pxy is true or false, not a number"),
        (b'{"src":-1}', "src is no twin id: -1 is outside 0"),
        (b'{"src":4294967296}', "src is no twin id"),
        (b'{"dst":[1,"2"]}', r"dst\[1\] is a twin id, not a string"),
        (b'{"dst":7}', "dst is a list of twin ids, not a number"),
        (b'{"now":9223372036854775808}', "now does not fit into 64 bits"),
        (b'{"now":NaN}', "not JSON"),
        (b'{"cmd":"\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_message_is_named(text: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=f"^{reason}"):
        Message.from_json(text)


def test_a_lone_surrogate_becomes_what_go_makes_of_it() -> None:
    message = Message.from_json(b'{"cmd":"a\\ud800b"}')
    assert message.command == "a\ufffdb"
    assert message.preimage() == "0a\ufffdb00false".encode()


def test_a_reply_is_the_request_turned_round() -> None:
    request = Message(
        uid="55.1", command="a.b", source=14, destinations=(55,), reply_to="q", now=5, signature="65"
    )
    reply = request.reply(9, b"null")
    assert reply == Message(
        uid="55.1", command="a.b", source=55, destinations=(14,), reply_to="q", now=9, data="bnVsbA=="
    )
    assert request.reply(9, error="no").data == ""


texts = st.text(st.characters(exclude_categories=["Cs"]))
twins = st.integers(0, 2**32 - 1)
integers = st.integers(-(2**63), 2**63 - 1)


@given(
    st.builds(
        Message,
        version=integers,
        uid=texts,
        command=texts,
        expiration=integers,
        retries=integers,
        data=texts,
        source=twins,
        destinations=st.lists(twins).map(tuple),
        reply_to=texts,
        schema=texts,
        now=integers,
        proxied=st.booleans(),
        error=texts,
        signature=texts,
        tag=st.none() | texts,
    )
)
def test_every_message_survives_coding(message: Message) -> None:
    assert Message.from_json(message.to_json()) == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
keys = st.sampled_from(["ver", "uid", "cmd", "exp", "try", "dat", "src", "dst", "ret", "now", "pxy", "tag"])


@given(st.binary() | st.dictionaries(keys, json_values).map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_a_message_or_a_message_error(raw: bytes) -> None:
    try:
        message = Message.from_json(raw)
    except MessageError:
        return
    message.challenge()
    message.to_json()
