"""A request as a handler sees it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from gridtypes import TwinId
from rmb.errors import HandlerError


@dataclass(frozen=True, slots=True)
class Request:
    """One call of one twin."""

    source: TwinId
    """The caller, as proven by the local peer."""
    command: str
    payload: bytes
    expires_at: float
    """Unix time after which nobody waits for the answer any more."""
    uid: str = ""

    def json(self) -> Any:
        """The decoded payload.  Raises HandlerError for what is no JSON."""
        try:
            return json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise HandlerError(f"the payload is not JSON: {error}") from error

    def remaining(self) -> float:
        """Seconds until the call expires; never negative."""
        return max(0.0, self.expires_at - time.time())
