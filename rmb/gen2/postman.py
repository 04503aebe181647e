"""Makes envelopes that others believe, and believes those that are proven: signature, life, encryption.

Encrypted is what goes to a twin with a public key on the chain, if and only if it has one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from rmb.errors import MessageError, NotDelivered, SignatureError
from rmb.gen2.encryption import EncryptionError, EncryptionKey, decrypt, encrypt
from rmb.gen2.envelope import SCHEMA, Body, Cipher, Envelope, Plain, Request
from rmb.gen2.refusals import Code
from rmb.gen2.session import Session
from rmb.gen2.twin_cards import TwinCard, TwinCards
from rmb.typed_signature import Signer

DEFAULT_LIFE: Final = 300
LONGEST_LIFE: Final = 1800
"""Seconds."""
FUTURE_S: Final = 60
"""By how much a sender's clock may be ahead."""


class Distrusted(MessageError):
    """An envelope that is not believed; `code` and text are what its sender is told."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that was proven, with its payload in the clear."""

    envelope: Envelope
    source: Session
    payload: bytes
    expires_at: float
    """Unix time."""


class Postman:
    """Seals and opens for one session of a twin."""

    def __init__(
        self, session: Session, signer: Signer, cards: TwinCards, encryption: EncryptionKey | None
    ) -> None:
        self.session = session
        self._signer = signer
        self._cards = cards
        self._encryption = encryption

    async def seal(
        self,
        uid: str,
        to: Session,
        body: Body,
        payload: bytes,
        *,
        life: int = DEFAULT_LIFE,
        schema: str | None = SCHEMA,
        tags: str | None = None,
    ) -> bytes:
        """A signed envelope, encrypted when the receiver can open it.

        `life` in seconds is bounded by LONGEST_LIFE; 0 means DEFAULT_LIFE.  Raises NotDelivered for an unknown twin,
        BusUnavailable when the chain cannot be asked.
        """
        card = await self._cards.get(to.twin)
        if card is None:
            raise NotDelivered(f"unknown twin id '{to.twin}'")
        envelope = Envelope(
            uid=uid,
            timestamp=int(time.time()),
            expiration=min(life or DEFAULT_LIFE, LONGEST_LIFE),
            source=self.session,
            destination=to,
            body=body,
            payload=self._packed(card, payload),
            schema=schema,
            tags=tags,
        )
        return envelope.signed(self._signer).encode()

    async def has_relays(self, twin: int) -> bool:
        """Whether a twin can be reached over relays.  Raises BusUnavailable when the chain cannot be asked."""
        card = await self._cards.get(twin)
        return card is not None and bool(card.relays)

    async def open(self, envelope: Envelope) -> Opened:
        """Prove an envelope.  Raises Distrusted, BusUnavailable when the chain cannot be asked."""
        source = envelope.source
        if source is None or not source.twin:
            raise Distrusted(Code.SIGNATURE, "the envelope names no source")
        expires_at = envelope.timestamp + min(envelope.expiration, LONGEST_LIFE)
        now = time.time()
        if expires_at <= now or envelope.timestamp > now + FUTURE_S:
            raise Distrusted(Code.EXPIRED, "envelope validation error: message has expired")
        card = await self._proven(envelope, source)
        if self._fits(card, envelope):
            try:
                return Opened(envelope, source, self._unpacked(card, envelope), expires_at)
            except Distrusted as problem:
                if problem.code is not Code.ENCRYPTION:
                    raise
        newer = await self._cards.newer(card)
        if newer is None:
            raise Distrusted(Code.UNKNOWN_TWIN, f"unknown twin id '{source.twin}'")
        return Opened(envelope, source, self._unpacked(newer, envelope), expires_at)

    def _fits(self, card: TwinCard, envelope: Envelope) -> bool:
        """Whether the sender writes as its card says.

        Who asks in plain words although both have a key may have cleared its own: an answer would be encrypted for a
        key that is gone.
        """
        if isinstance(envelope.payload, Cipher):
            return card.pk is not None
        both = card.pk is not None and self._encryption is not None
        return not (both and isinstance(envelope.body, Request))

    async def _proven(self, envelope: Envelope, source: Session) -> TwinCard:
        """The source's card, with whose key the signature fits."""
        for is_last in (False, True):
            card = await self._cards.get(source.twin)
            if card is None:
                raise Distrusted(Code.UNKNOWN_TWIN, f"unknown twin id '{source.twin}'")
            try:
                envelope.verify(card.account)
                return card
            except SignatureError as problem:
                if is_last:
                    raise Distrusted(Code.SIGNATURE, f"invalid envelope signature: {problem}") from problem
                self._cards.forget(source.twin)  # its account may have changed
        raise AssertionError("unreachable")

    def _packed(self, card: TwinCard, payload: bytes) -> Plain | Cipher:
        if card.pk is None or self._encryption is None:
            return Plain(payload)
        return Cipher(encrypt(self._encryption.shared_with(card.pk), payload))

    def _unpacked(self, card: TwinCard, envelope: Envelope) -> bytes:
        match envelope.payload:
            case Plain(data):
                return data
            case Cipher(data):
                if card.pk is None:
                    raise Distrusted(Code.NO_PUBLIC_KEY, "sender twin has no public key")
                if self._encryption is None:
                    raise Distrusted(Code.ENCRYPTION, "e2e error: encryption is switched off here")
                try:
                    return decrypt(self._encryption.shared_with(card.pk), data)
                except EncryptionError as problem:
                    raise Distrusted(Code.ENCRYPTION, f"e2e error: {problem}") from problem
        return b""
