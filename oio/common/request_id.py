"""Identifiers of requests, and the headers that clients and services exchange."""

from __future__ import annotations

import os
import threading
import uuid
from typing import Final

MAX_REQUEST_ID: Final = 63
"""Longest identifier that the services keep."""

REQID_HEADER: Final = "x-oio-req-id"
TIMEOUT_HEADER: Final = "x-oio-timeout"
ACTION_MODE_HEADER: Final = "x-oio-action-mode"
ADMIN_HEADER: Final = "x-oio-admin"
ADMIN_SECRET_HEADER: Final = "x-oio-admin-secret"
FORCEMASTER_HEADER: Final = "x-oio-force-master"
REGION_HEADER: Final = "x-oio-region"
PERFDATA_HEADER: Final = "x-oio-perfdata"


def request_id(prefix: str = "") -> str:
    """A new identifier of a request, at most 32 characters behind its prefix."""
    process = f"{os.getpid() & 0xFFFF:04X}{threading.get_ident() & 0xFFFF:04X}"
    return f"{prefix}{process}{uuid.uuid4().hex[:24].upper()}"[:MAX_REQUEST_ID]
