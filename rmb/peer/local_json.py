"""What local programs of generation 2 push and read, and the message that stands for it here.

The shapes are those of the existing `rmb-peer`.  A request with the key `ref` is one of them; its answer has their
shape, all others have that of generation 1.  Services get this shape where the configuration names their commands;
what they answer is known by its text `dst`.  Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from rmb import queues
from rmb.errors import MessageError
from rmb.gen1.message import PROTOCOL_VERSION, Message
from rmb.gen2.envelope import SCHEMA
from rmb.gen2.refusals import Code
from rmb.gen2.session import Session

_PROXIED: Final = "proxied "
"""Reference of a request that has no id but its reply list."""


def response(answer: Message) -> bytes:
    """An answer for a client of generation 2; `answer.reference` is what it called its request."""
    error = None
    if answer.error:
        code = answer.error_code or int(Code.HANDLER if answer.source else Code.OTHER)
        error = {"code": code, "message": answer.error}
    return _encoded(
        {
            "ver": PROTOCOL_VERSION,
            "ref": answer.reference or "",
            "dat": "" if error else answer.data,
            "src": str(answer.source) if answer.source else "",
            "shm": answer.schema or SCHEMA,
            "now": answer.now,
            "err": error,
        }
    )


def request(message: Message, source: Session) -> bytes:
    """A request for a service of generation 2, from this session of another twin."""
    return _encoded(
        {
            "ver": PROTOCOL_VERSION,
            "ref": _PROXIED + message.reply_to if message.proxied else message.uid,
            "src": str(source),
            "cmd": message.command,
            "exp": message.expiration,
            "dat": message.data,
            "tag": message.tag,
            "ret": queues.REPLY,
            "shm": message.schema or SCHEMA,
            "now": message.now,
        }
    )


def is_reply(raw: bytes) -> bool:
    """Whether a service's reply has the shape of generation 2."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("dst"), str) and isinstance(value.get("ref"), str)


def reply(raw: bytes, own_twin: int) -> Message:
    """The reply of a service of generation 2.  Raises MessageError naming what is wrong."""
    value = json.loads(raw)
    error = value.get("err")
    if error is not None and not (isinstance(error, Mapping) and isinstance(error.get("message"), str)):
        raise MessageError("err is an object with code and message")
    data, schema, now = value.get("dat") or "", value.get("shm") or "", value.get("now") or 0
    if not isinstance(data, str) or not isinstance(schema, str):
        raise MessageError("dat and shm are texts")
    if isinstance(now, bool) or not isinstance(now, int) or not 0 <= now < 2**63:
        raise MessageError(f"now is a time in seconds, not {str(now)[:40]}")
    reference: str = value["ref"]
    proxied = reference.startswith(_PROXIED)
    return Message(
        uid="" if proxied else reference,
        source=own_twin,
        destinations=(Session.parse(value["dst"]).twin,),
        reply_to=reference.removeprefix(_PROXIED) if proxied else queues.REPLY,
        proxied=proxied,
        data=data,
        schema=schema,
        now=now,
        error="" if error is None else error["message"] or "failed without a reason",
        error_code=0 if error is None else _code(error.get("code")),
    )


def _code(value: object) -> int:
    """The number of an error: of 32 bits without a sign on the wire; anything else is a handler's."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32:
        return value
    return int(Code.HANDLER)


def _encoded(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
