"""The example that somebody who writes a client in another language compares with is right."""

from __future__ import annotations

import re
from pathlib import Path

from rmb.gen2.envelope import Envelope, Plain, Request
from rmb.gen2.session import Session
from rmb.gen2.token import Token, make_token
from tfchain.keys import Identity

TEXT = (Path(__file__).parents[2] / "docs/rmb/protocol.md").read_text()
KEY = Identity.from_seed(bytes([2]) * 32)
TOOL = Session(14, "tool")
NOW, LIFE = 1_700_000_000, 60


def test_the_envelope_of_the_protocol_page() -> None:
    envelope = Envelope(
        uid="6f9b8c1e-0000-4000-8000-000000000001",
        timestamp=NOW,
        expiration=LIFE,
        source=TOOL,
        destination=Session(55),
        body=Request("calculator.add"),
        payload=Plain(b"[1,2]"),
        schema="application/json",
    )
    signed = envelope.signed(KEY)
    assert envelope.preimage().decode() in TEXT
    assert envelope.challenge().hex() in TEXT
    assert (signed.signature or b"").hex() in TEXT
    assert KEY.public_key.hex() in TEXT
    frame = re.search(r"and the frame is\n\n```\n([0-9a-f\n]+)```", TEXT)
    assert frame is not None
    assert bytes.fromhex(frame[1].replace("\n", "")) == signed.encode()


def test_the_token_of_the_protocol_page() -> None:
    token = make_token(TOOL, KEY, NOW, LIFE)
    assert token in TEXT
    Token.parse(token).verify(KEY.public_key, NOW)
