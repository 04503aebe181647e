"""Envelopes that say no: from a relay, which signs nothing, and from a peer."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from rmb.gen2.envelope import Envelope, Error, Plain, Request
from rmb.gen2.session import Session

LIFETIME: Final = 300
"""Seconds that a refusal lives."""


class Code(IntEnum):
    """Codes of `rmb-peer`; relays and direct peers use RELAY, routers behind Redis use HANDLER."""

    RELAY = 0
    PAYLOAD_TYPE = 100
    PAYLOAD_DATA = 101
    EXPIRED = 102
    UNKNOWN_TWIN = 103
    SIGNATURE = 104
    NO_PUBLIC_KEY = 105
    ENCRYPTION = 106
    HANDLER = 255
    OTHER = 500


def from_relay(offending: Envelope, text: str, now: int, session: Session | None = None) -> Envelope | None:
    """What a relay answers to a request that it cannot carry; None for anything but a request.

    `session` is the sender's, when the message came over its connection.  Nothing else is set: no source, no signature.
    """
    if not isinstance(offending.body, Request):
        return None
    return Envelope(
        uid=offending.uid,
        timestamp=now,
        expiration=LIFETIME,
        destination=session,
        body=Error(Code.RELAY, text),
    )


def is_from_relay(envelope: Envelope) -> bool:
    """Whether an unsigned envelope may be a relay's word: no source, and an error (anybody can inject other kinds)."""
    nobody = envelope.source is None or envelope.source.twin == 0
    return nobody and isinstance(envelope.body, Error)


def from_peer(request: Envelope, code: Code, text: str, now: int, own: Session) -> Envelope:
    """What a peer answers to a request that it does not let in; to be signed."""
    return Envelope(
        uid=request.uid,
        timestamp=now,
        expiration=request.expiration or LIFETIME,
        source=own,
        destination=request.source,
        body=Error(code, text),
        schema=request.schema,
        payload=Plain(b"null"),
    )
