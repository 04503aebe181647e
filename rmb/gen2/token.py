"""The token with which a peer shows a relay who it is: a compact JWS with a signature algorithm of its own.

The header's `alg` is fixed and does not describe the signature, which is type byte and 64 bytes over the *raw* ASCII of
`header.claims`.  (The Go chain client hashes inputs of more than 256 bytes first; relays refuse its tokens with long
session names.)
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from rmb.errors import SignatureError
from rmb.gen2.session import Session
from rmb.typed_signature import SIZE, Signer, fits, sign

ALGORITHM: Final = "RS512"
LIFETIME: Final = 60
"""Seconds of a token of ours; a new one is made for each connection."""
MAX_SIZE: Final = 4096
"""Characters."""

_HEADER: Final = b'{"alg":"RS512"}'
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_INTEGERS: Final = range(0, 2**63)


class TokenError(SignatureError):
    """A token that a relay refuses; the text is that of the reference relay after `invalid jwt: `."""


class ExpiredToken(TokenError):
    """A good token whose time is over."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, once `verify` has proven it."""

    session: Session
    issued_at: int
    expires_at: int
    _signed: bytes = b""
    _signature: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token without believing it.  Raises TokenError."""
        parts = text.split(".")
        if len(text) > MAX_SIZE or len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
            raise TokenError("expected header.claims.signature in base64url without padding")
        header = _object(parts[0], "header")
        if header.get("alg") != ALGORITHM:
            raise TokenError(f"alg is {header.get('alg')!r}, expected {ALGORITHM!r}")
        claims = _object(parts[1], "claims")
        signature = _decode(parts[2], "signature")
        if len(signature) != SIZE:
            raise TokenError(f"the signature has {len(signature)} bytes, expected {SIZE}")
        connection = claims.get("sid")
        if not (connection is None or isinstance(connection, str)):
            raise TokenError("sid is a string")
        twin = _integer(claims, "sub")
        if twin > 2**32 - 1:
            raise TokenError(f"sub is no twin id: {twin}")
        return cls(
            Session(twin, connection),
            _integer(claims, "iat"),
            _integer(claims, "exp"),
            f"{parts[0]}.{parts[1]}".encode(),
            signature,
        )

    def verify(self, public_key: bytes, now: int) -> None:
        """Check signature and life.  Raises TokenError, ExpiredToken."""
        try:
            good = fits(self._signed, self._signature, public_key)
        except SignatureError as error:
            raise TokenError(str(error)) from error
        if not good:
            raise TokenError("signature verification failed")
        if now > self.expires_at:
            raise ExpiredToken("jwt has expired")


def make_token(session: Session, signer: Signer, now: int, lifetime: int = LIFETIME) -> str:
    """A token for one connection, claims in the order of the Rust peer."""
    claims = {"sub": session.twin, "sid": session.connection, "iat": now, "exp": now + lifetime}
    return encode(_HEADER, json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode(), signer)


def encode(header: bytes, claims: bytes, signer: Signer) -> str:
    """Sign header and claims as they are."""
    signed = f"{_encode(header)}.{_encode(claims)}"
    return f"{signed}.{_encode(sign(signed.encode(), signer))}"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(part: str, name: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenError(f"the {name} is not base64url") from error


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part, name))
    except (ValueError, RecursionError) as error:
        if isinstance(error, TokenError):
            raise
        raise TokenError(f"the {name} is not JSON") from error
    if not isinstance(value, dict):
        raise TokenError(f"the {name} is not a JSON object")
    return value


def _integer(claims: dict[str, Any], key: str) -> int:
    value = claims.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INTEGERS:
        raise TokenError(f"{key} is missing or no number")
    return value
