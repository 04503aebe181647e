"""Bytes from anybody never do more than end the connection that they came over."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmb.errors import MessageError
from rmb.gen2.session import Session
from rmb.gen2.token import Token, TokenError
from rmb.relay.limiter import Limit, Limiter
from rmb.relay.metrics import Metrics
from rmb.relay.router import Router
from rmb.relay.twins import TwinRecord
from tests.rmb.relay.grid import DOMAIN, message, token

SENDER = Session(1, "x")
SEED = message(SENDER, Session(2, "y"), "payload", tags="fail-fast")


class FakeHub:
    """Keeps what is delivered; nobody is connected."""

    def __init__(self) -> None:
        self.delivered: list[tuple[Session, bytes]] = []

    def is_connected(self, session: Session) -> bool:
        return False

    def deliver(self, session: Session, body: bytes, failed: Any = None) -> None:
        self.delivered.append((session, body))


class FakeTwins:
    def known(self, twin: int) -> TwinRecord:
        return TwinRecord(bytes(32), (DOMAIN,) if twin % 2 == 0 else ("other.example.org",))


class FakeFederation:
    def send(self, raw: bytes, failed: Any) -> None:
        assert raw


def router(limiter: Limiter | None = None) -> tuple[Router, FakeHub]:
    hub = FakeHub()
    made = Router(
        hub,  # type: ignore[arg-type]  # has what the router asks for
        FakeTwins(),  # type: ignore[arg-type]
        FakeFederation(),  # type: ignore[arg-type]
        Metrics(),
        [DOMAIN],
        limiter,
        lambda _: False,
    )
    return made, hub


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """An envelope with a few bytes changed, cut out or put in."""
    data = bytearray(SEED)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(data)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=st.one_of(changed(), st.binary(max_size=300)))
def test_any_bytes_are_routed_refused_or_no_envelope(raw: bytes) -> None:
    routes, hub = router(Limiter(Limit(1 << 30, 1 << 30), 100))
    with contextlib.suppress(MessageError):
        routes.from_peer(SENDER, raw)
    for target, body in hub.delivered:
        # Either the very bytes went on, or the sender is told.
        assert body == raw or target == SENDER
    with contextlib.suppress(MessageError):
        routes.from_relay(raw)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with contextlib.suppress(TokenError):
        Token.parse(text)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.characters())
def test_a_changed_token_never_proves_anything(at: int, letter: str) -> None:
    good = token(Session(2))
    text = good[: at % len(good)] + letter + good[at % len(good) + 1 :]
    try:
        parsed = Token.parse(text)
        parsed.verify(bytes(32), 0)
    except TokenError:
        return
    pytest.fail("a token was believed with a key that is not its signer's")
