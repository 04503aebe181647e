"""The envelope of generation 2: what relays carry, one in each binary WebSocket frame.

Nothing depends on the order of fields in the encoding; the signature covers values, not bytes.  It does not cover
field borders, the kind of message, or whether a payload is encrypted: never conclude these from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from google.protobuf.message import DecodeError

from rmb.errors import MessageError, SignatureError
from rmb.gen2 import envelope_pb2 as wire
from rmb.gen2.session import Session
from rmb.typed_signature import SIZE, Signer, fits, sign

SCHEMA: Final = "application/json"
"""The only schema in use."""


@dataclass(frozen=True, slots=True)
class Request:
    command: str


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer; its value is the payload."""


@dataclass(frozen=True, slots=True)
class Error:
    code: int
    message: str


class Signal(Enum):
    """Messages without content, between a client and its relay."""

    PING = "ping"
    PONG = "pong"


@dataclass(frozen=True, slots=True)
class Plain:
    data: bytes


@dataclass(frozen=True, slots=True)
class Cipher:
    data: bytes
    """Nonce, ciphertext, tag."""


Body = Request | Response | Error | Signal
Payload = Plain | Cipher


@dataclass(frozen=True, slots=True)
class Envelope:
    """None means that a field is not set, which is not the same as empty."""

    uid: str = ""
    timestamp: int = 0
    """Seconds."""
    expiration: int = 0
    """Seconds of life, counted from `timestamp`."""
    source: Session | None = None
    destination: Session | None = None
    body: Body | None = None
    payload: Payload | None = None
    schema: str | None = None
    tags: str | None = None
    signature: bytes | None = None
    federation: str | None = None
    """Deprecated: read and hashed, never set by us."""
    relays: tuple[str, ...] = ()
    """Deprecated: read and hashed, never set by us."""

    @classmethod
    def decode(cls, raw: bytes) -> Envelope:
        """Read an encoded envelope; fields that we do not know are ignored.  Raises MessageError."""
        message = wire.Envelope()
        try:
            message.ParseFromString(raw)
        except DecodeError as error:
            raise MessageError(f"not an envelope: {error}") from error
        return cls(
            uid=message.uid,
            timestamp=message.timestamp,
            expiration=message.expiration,
            source=_session(message.source) if message.HasField("source") else None,
            destination=_session(message.destination) if message.HasField("destination") else None,
            body=_body(message),
            payload=_payload(message),
            schema=message.schema if message.HasField("schema") else None,
            tags=message.tags if message.HasField("tags") else None,
            signature=message.signature if message.HasField("signature") else None,
            federation=message.federation if message.HasField("federation") else None,
            relays=tuple(message.relays),
        )

    def encode(self) -> bytes:
        """Fields in ascending order.  Raises ValueError for numbers that do not fit."""
        message = wire.Envelope(
            uid=self.uid,
            timestamp=self.timestamp,
            expiration=self.expiration,
            source=_address(self.source),
            destination=_address(self.destination),
            schema=self.schema,
            tags=self.tags,
            signature=self.signature,
            federation=self.federation,
            relays=self.relays,
        )
        match self.body:
            case Request(command):
                message.request.CopyFrom(wire.Request(command=command))
            case Response():
                message.response.SetInParent()
            case Error(code, text):
                message.error.CopyFrom(wire.Error(code=code, message=text))
            case Signal.PING:
                message.ping.SetInParent()
            case Signal.PONG:
                message.pong.SetInParent()
        match self.payload:
            case Plain(data):
                message.plain = data
            case Cipher(data):
                message.cipher = data
        return message.SerializeToString(deterministic=True)

    def preimage(self, unset_twin: bytes = b"0") -> bytes:
        """What is hashed for the signature.  For an address that is not set Rust hashes `0`, Go nothing."""
        parts = [
            self.uid.encode(),
            (self.tags or "").encode(),
            b"%d%d" % (self.timestamp, self.expiration),
            _hashed(self.source, unset_twin),
            _hashed(self.destination, unset_twin),
        ]
        match self.body:
            case Request(command):
                parts.append(command.encode())
            case Error(code, text):
                parts.append(f"{code}{text}".encode())
        parts += [(self.schema or "").encode(), (self.federation or "").encode()]
        if self.payload is not None:
            parts.append(self.payload.data)
        parts += [relay.encode() for relay in self.relays]
        return b"".join(parts)

    def challenge(self, unset_twin: bytes = b"0") -> bytes:
        """The 16 bytes that are signed."""
        return hashlib.md5(self.preimage(unset_twin), usedforsecurity=False).digest()

    def signed(self, signer: Signer) -> Envelope:
        """A copy with the signature of `signer`.  Encrypt first: the cipher is what is signed."""
        return replace(self, signature=sign(self.challenge(), signer))

    def verify(self, public_key: bytes) -> None:
        """Check the signature of the source twin, whose key this is.

        Raises SignatureError; an envelope without a signature, or with an empty one, is never good.
        """
        signature = self.signature or b""
        if len(signature) != SIZE:
            raise SignatureError(f"a signature has {SIZE} bytes, this envelope's has {len(signature)}")
        challenges = [self.challenge()]
        if self.source is None or self.destination is None:
            challenges.append(self.challenge(unset_twin=b""))
        if not any(fits(challenge, signature, public_key) for challenge in challenges):
            raise SignatureError("the signature is not that of the source twin")


def _session(address: wire.Address) -> Session:
    return Session(address.twin, address.connection if address.HasField("connection") else None)


def _address(session: Session | None) -> wire.Address | None:
    return None if session is None else wire.Address(twin=session.twin, connection=session.connection)


def _hashed(session: Session | None, unset_twin: bytes) -> bytes:
    return unset_twin if session is None else f"{session.twin}{session.connection or ''}".encode()


def _body(message: wire.Envelope) -> Body | None:
    match message.WhichOneof("message"):
        case "request":
            return Request(message.request.command)
        case "response":
            return Response()
        case "error":
            return Error(message.error.code, message.error.message)
        case "ping":
            return Signal.PING
        case "pong":
            return Signal.PONG
    return None


def _payload(message: wire.Envelope) -> Payload | None:
    match message.WhichOneof("payload"):
        case "plain":
            return Plain(message.plain)
        case "cipher":
            return Cipher(message.cipher)
    return None
