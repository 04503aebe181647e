"""One request as the routes read it, and the answers they give. Every error names what is wrong with which field."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oio.naming import CID_LENGTH, MAX_NAME, cid_of, is_cid
from oio.service import status
from oio.service.status import ServiceError

MAX_BODY: Final = 1 << 20
"""Largest body in bytes; `meta0_force` may have 32 times as much."""
MAX_DEPTH: Final = 32
_SEQUENCE: Final = re.compile(r"\.-?[0-9]{1,18}")


@dataclass(frozen=True)
class Answer:
    """What goes back: HTTP status, a JSON document (None: no body) or a text, headers."""

    http: int = 200
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


NOTHING: Final = Answer(204)


@dataclass(frozen=True)
class Reference:
    """The reference that a request is about; account and name are empty when only the cid was given."""

    cid: str
    account: str
    name: str


@dataclass(frozen=True)
class Call:
    """A request: query, headers (lower-case names), body, and until when it may take (monotonic seconds)."""

    namespace: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    deadline: float

    def remaining(self) -> float:
        """Seconds left; ServiceError 504 when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ServiceError(status.GATEWAY_TIMEOUT, "the request's time has run out")
        return left

    @property
    def autocreate(self) -> bool:
        """Whether a missing reference is to be made."""
        return "autocreate" in self.headers.get("x-oio-action-mode", "")

    def flag(self, name: str) -> bool:
        """Whether a parameter of the query says yes."""
        return self.query.get(name, "").lower() in ("1", "yes", "true", "on")

    def require(self, name: str, message: str) -> str:
        """A parameter of the query; ServiceError 400 with `message` when it is missing."""
        value = self.query.get(name, "")
        if not value:
            raise ServiceError(status.BAD_REQUEST, message)
        return check_name(value, name)

    def reference(self) -> Reference:
        """The reference in the query; ServiceError 400 when it is incomplete or malformed."""
        account, name = self.query.get("acct", ""), self.query.get("ref", "")
        cid = self.query.get("cid", "")
        if len(cid) > CID_LENGTH and _SEQUENCE.fullmatch(cid[CID_LENGTH:]):
            # The indexer of OpenIO SDS asks with the name of a base.
            cid = cid[:CID_LENGTH]
        if cid:
            if not is_cid(cid):
                raise ServiceError(status.BAD_REQUEST, "Invalid oio url")
            return Reference(cid.upper(), account, name)
        if not account or not name:
            where = f"{self.namespace}/{account}" if account else self.namespace
            raise ServiceError(status.BAD_REQUEST, f"No META1: Incomplete URL [{where}]")
        check_name(account, "acct")
        check_name(name, "ref")
        return Reference(cid_of(account, name), account, name)

    def named_reference(self) -> Reference:
        """The reference by account and name, which a cid cannot replace."""
        found = self.reference()
        if not found.account or not found.name:
            raise ServiceError(status.BAD_REQUEST, f"No META1: Incomplete URL [{self.namespace}]")
        return found

    def json(self) -> Any:
        """The body as JSON; ServiceError 400."""
        try:
            document = json.loads(self.body, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ServiceError(status.BAD_REQUEST, "Invalid JSON") from error
        _check_depth(document, MAX_DEPTH)
        return document

    def json_object(self, message: str = "Expected: json object") -> dict[str, Any]:
        """The body as an object; ServiceError 400 with `message` for anything else."""
        document = self.json()
        if not isinstance(document, dict):
            raise ServiceError(status.BAD_REQUEST, message)
        return document

    def names(self) -> list[str]:
        """The body as a list of names; none when there is no body."""
        document = self.json() if self.body.strip() else []
        if not isinstance(document, list) or not all(isinstance(item, str) for item in document):
            raise ServiceError(status.BAD_REQUEST, "Expected: json array of strings")
        return [check_name(name, "property") for name in document if name]


def texts(document: Mapping[str, Any], field_name: str) -> dict[str, str]:
    """An object of texts below a field, empty when it is missing; ServiceError 400 names the property."""
    values = document.get(field_name)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ServiceError(status.BAD_REQUEST, f"Invalid field [{field_name}]: an object is expected")
    for name, value in values.items():
        if not isinstance(value, str) or not _storable(value):
            raise ServiceError(status.BAD_REQUEST, f"Invalid property '{name}'")
        check_name(name, field_name)
    return values


def check_name(value: str, field_name: str) -> str:
    """The name itself; ServiceError 400 when it is too long or cannot be stored."""
    if not _storable(value) or len(value.encode()) > MAX_NAME:
        raise ServiceError(
            status.BAD_REQUEST,
            f"Invalid parameter '{field_name}': at most {MAX_NAME} bytes of UTF-8 without NUL are allowed",
        )
    return value


def _storable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _check_depth(document: Any, left: int) -> None:
    if left == 0:
        raise ServiceError(status.BAD_REQUEST, f"Invalid JSON: more than {MAX_DEPTH} levels")
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            _check_depth(item, left - 1)


def _refuse(name: str) -> None:
    raise ValueError(name)
