from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmb.gen2.session import Session
from rmb.gen2.token import Token, TokenError, encode, make_token
from tfchain.keys import Identity

KEY = Identity.generate()
HEADER = b'{"alg":"RS512"}'


def token(claims: Any, header: bytes = HEADER) -> str:
    return encode(header, json.dumps(claims).encode(), KEY)


def test_a_token_says_who_and_until_when() -> None:
    for session in (Session(7), Session(7, ""), Session(7, "cli:1")):
        read = Token.parse(make_token(session, KEY, 100, lifetime=60))
        assert (read.session, read.issued_at, read.expires_at) == (session, 100, 160)
        read.verify(KEY.public_key, 160)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected header.claims.signature"),
        ("a.b", "expected header.claims.signature"),
        ("a.b.c.d", "expected header.claims.signature"),
        ("a..c", "expected header.claims.signature"),
        (make_token(Session(7), KEY, 0) + "=", "without padding"),
        (make_token(Session(7, "s" * 4000), KEY, 0), "expected header.claims.signature"),
        (token({"sub": 7, "iat": 0, "exp": 1}, b'{"alg":"none"}'), "alg is 'none', expected 'RS512'"),
        (token({"sub": 7, "iat": 0, "exp": 1}, b"[]"), "the header is not a JSON object"),
        (token({"sub": "7", "iat": 0, "exp": 1}), "sub is missing or no number"),
        (token({"sub": True, "iat": 0, "exp": 1}), "sub is missing or no number"),
        (token({"sub": 2**32, "iat": 0, "exp": 1}), "sub is no twin id: 4294967296"),
        (token({"sub": 7, "exp": 1}), "iat is missing or no number"),
        (token({"sub": 7, "iat": 0}), "exp is missing or no number"),
        (token({"sub": 7, "iat": 0, "exp": 1, "sid": 5}), "sid is a string"),
        (make_token(Session(7), KEY, 0)[:-3], "the signature has 63 bytes"),
    ],
)
def test_what_is_no_token_is_named(text: str, reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        Token.parse(text)


def test_another_key_or_another_claim_does_not_verify() -> None:
    good = make_token(Session(7), KEY, 0)
    with pytest.raises(TokenError, match="verification failed"):
        Token.parse(good).verify(Identity.generate().public_key, 0)
    header, _, signature = good.split(".")
    claims = base64.urlsafe_b64encode(b'{"sub":8,"iat":0,"exp":60}').decode().rstrip("=")
    with pytest.raises(TokenError, match="verification failed"):
        Token.parse(f"{header}.{claims}.{signature}").verify(KEY.public_key, 0)
    unknown = base64.urlsafe_b64encode(b"x" + bytes(64)).decode().rstrip("=")
    with pytest.raises(TokenError, match="unrecognized signature prefix 78"):
        Token.parse(f"{header}.{claims}.{unknown}").verify(KEY.public_key, 0)


@given(st.text() | st.text("abcdefgABC01_-.", max_size=60))
def test_whatever_comes_is_a_token_or_a_token_error(text: str) -> None:
    try:
        Token.parse(text)
    except TokenError:
        pass
