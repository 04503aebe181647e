"""The one JSON object of generation 1, used in Redis lists, hashes and HTTP bodies alike.

Decoding follows Go's rules as the reference daemon has them: unknown keys are ignored, missing keys and `null` are
zero values, keys match whatever their case.  It is stricter in one thing: twins are unsigned 32-bit numbers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rmb.errors import MessageError

PROTOCOL_VERSION: Final = 1
MAX_SIZE: Final = 1024 * 1024
"""Bytes of one encoded message, payload and all."""

_MAX_TWIN: Final = 2**32 - 1
_INT64: Final = range(-(2**63), 2**63)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply; which of both is said only by the path or list it came through.

    Attributes have the names of the JSON keys spelled out; `now` and `exp` are seconds.
    """

    version: int = PROTOCOL_VERSION
    uid: str = ""
    command: str = ""
    expiration: int = 0
    """Seconds of life, counted from `now`; 0 stands for an hour."""
    retries: int = 0
    """Delivery attempts left after the first (`try`)."""
    data: str = ""
    """Payload in standard base64, as text: the signature covers this text."""
    source: int = 0
    destinations: tuple[int, ...] = ()
    reply_to: str = ""
    """Redis list for the reply (`ret`)."""
    schema: str = ""
    now: int = 0
    proxied: bool = False
    """Came through `/zbus-cmd` (`pxy`)."""
    error: str = ""
    """Not empty: the request failed (`err`)."""
    signature: str = ""
    tag: str | None = None
    """The client's own mark; never sent over HTTP, restored on the reply."""
    reference: str | None = None
    """What a local client of generation 2 calls its request (`ref`); never sent over HTTP.  None: of generation 1."""
    error_code: int = 0
    """The number that a service of generation 2 gave its error; in memory alone: generation 1 knows no such thing."""

    @classmethod
    def from_json(cls, raw: bytes | str) -> Message:
        """Decode one message.  Raises MessageError naming the key that is wrong."""
        try:
            value = json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"not JSON: {_one_line(error)}") from error
        if not isinstance(value, dict):
            raise MessageError(f"a message is a JSON object, not {_kind(value)}")
        fields = {str(key).lower(): item for key, item in value.items()}
        return cls(
            version=_integer(fields, "ver"),
            uid=_text(fields, "uid"),
            command=_text(fields, "cmd"),
            expiration=_integer(fields, "exp"),
            retries=_integer(fields, "try"),
            data=_text(fields, "dat"),
            source=_twin("src", fields.get("src") or 0),
            destinations=_twins(fields, "dst"),
            reply_to=_text(fields, "ret"),
            schema=_text(fields, "shm"),
            now=_integer(fields, "now"),
            proxied=_flag(fields, "pxy"),
            error=_text(fields, "err"),
            signature=_text(fields, "sig"),
            tag=None if fields.get("tag") is None else _text(fields, "tag"),
            reference=None if fields.get("ref") is None else _text(fields, "ref"),
        )

    def to_json(self) -> bytes:
        """Encode with every key of the reference daemon; `tag` and `ref` only when they are set."""
        fields: dict[str, Any] = {
            "ver": self.version,
            "uid": self.uid,
            "cmd": self.command,
            "exp": self.expiration,
            "try": self.retries,
            "dat": self.data,
            "src": self.source,
            "dst": list(self.destinations),
            "ret": self.reply_to,
            "shm": self.schema,
            "now": self.now,
            "err": self.error,
            "sig": self.signature,
            "pxy": self.proxied,
        }
        if self.tag is not None:
            fields["tag"] = self.tag
        if self.reference is not None:
            fields["ref"] = self.reference
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

    def preimage(self) -> bytes:
        """The text whose MD5 is signed.  `exp`, `try`, `shm`, `err` and `tag` are not part of it."""
        return "".join(
            (
                str(self.version),
                self.uid,
                self.command,
                self.data,
                str(self.source),
                *map(str, self.destinations),
                self.reply_to,
                str(self.now),
                "true" if self.proxied else "false",
            )
        ).encode()

    def challenge(self) -> bytes:
        """The 16 bytes that are signed."""
        return hashlib.md5(self.preimage(), usedforsecurity=False).digest()

    def payload(self) -> bytes:
        """`data` without its base64.  Raises MessageError."""
        try:
            return base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MessageError(f"dat is not standard base64: {_one_line(error)}") from error

    def with_payload(self, payload: bytes) -> Message:
        return replace(self, data=base64.b64encode(payload).decode())

    def reply(self, now: int, payload: bytes | None = None, error: str = "") -> Message:
        """The service's answer to this request: twins swapped, everything else that identifies it kept."""
        return replace(
            self,
            source=self.destinations[0] if self.destinations else 0,
            destinations=(self.source,),
            data="" if payload is None else base64.b64encode(payload).decode(),
            now=now,
            error=error,
            signature="",
        )


def upload_challenge(timestamp: int, source: int) -> bytes:
    """The 16 bytes signed for a file upload of `rmb-rs` v0.2.1; the command is not covered."""
    return hashlib.md5(f"{timestamp}{source}".encode(), usedforsecurity=False).digest()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MessageError(f"{key} is a string, not {_kind(value)}")
    # Go replaces lone surrogates while decoding, and signs what it decoded.
    return _SURROGATE.sub("\ufffd", value)


def _integer(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise MessageError(f"{key} is an integer, not {_kind(value)}")
    if value not in _INT64:
        raise MessageError(f"{key} does not fit into 64 bits")
    return value


def _flag(fields: Mapping[str, Any], key: str) -> bool:
    value = fields.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise MessageError(f"{key} is true or false, not {_kind(value)}")
    return value


def _twin(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MessageError(f"{key} is a twin id, not {_kind(value)}")
    if not 0 <= value <= _MAX_TWIN:
        raise MessageError(f"{key} is no twin id: {value} is outside 0 … {_MAX_TWIN}")
    return value


def _twins(fields: Mapping[str, Any], key: str) -> tuple[int, ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MessageError(f"{key} is a list of twin ids, not {_kind(value)}")
    return tuple(_twin(f"{key}[{position}]", item) for position, item in enumerate(value))


def _kind(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
