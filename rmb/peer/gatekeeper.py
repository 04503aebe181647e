"""Decide whether a message that came over HTTP is let in."""

from __future__ import annotations

import time
from typing import Final

from gridtypes import TwinId
from rmb.errors import MessageError, RmbError, SignatureError
from rmb.gen1 import time_rules
from rmb.gen1.message import PROTOCOL_VERSION, Message
from rmb.gen1.signature import verify
from rmb.peer.directory import DirectoryUnavailable, TwinDirectory

BAD_JSON: Final = "couldn't parse json"


class Refused(RmbError):
    """A message is not let in: HTTP status and text as the reference daemon has them."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Gatekeeper:
    """Checks in the order of the reference daemon: form, age, (destination,) source, signature."""

    def __init__(self, own_twin: TwinId, directory: TwinDirectory) -> None:
        self._own_twin = own_twin
        self._directory = directory

    async def admit(self, body: bytes) -> Message:
        """The message in `body`, proven to come from its source, for us, and now.  Raises Refused."""
        try:
            message = Message.from_json(body)
        except MessageError as error:
            raise Refused(400, BAD_JSON) from error
        check_form(message, self._own_twin, time.time())
        try:
            key = await self._directory.public_key(TwinId(message.source))
        except DirectoryUnavailable as error:
            raise Refused(502, f"couldn't get twin {message.source} public key: {error}") from error
        if key is None:
            raise Refused(400, f"source twin {message.source} not found")
        try:
            verify(message.challenge(), message.signature, key)
        except SignatureError as error:
            raise Refused(400, str(error)) from error
        return message


def check_form(message: Message, own_twin: int, now: float) -> None:
    """What can be seen without knowing the source.  Raises Refused."""
    second = int(now)
    if time_rules.too_old(second, message.now):
        age = time_rules.go_duration(now - message.now)
        raise Refused(400, f"message is too old, sent since {age}, sent time: {message.now}, now: {second}")
    if time_rules.too_new(second, message.now):
        raise Refused(400, f"message is from the future, sent time: {message.now}, now: {second}")
    if own_twin not in message.destinations:
        raise Refused(
            400, f"invalid destination twin {message.destinations[0] if message.destinations else 0}"
        )
    if message.version != PROTOCOL_VERSION:
        raise Refused(400, f"protocol version mismatch: {message.version}, expected {PROTOCOL_VERSION}")
