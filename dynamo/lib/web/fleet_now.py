"""What runs in a fleet, as of the begin of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FleetNow:
    """Applications, newest first, and servers by name: what a module gets as `appmanager`."""

    applications: list[dict[str, Any]] = field(default_factory=list)
    servers: list[dict[str, Any]] = field(default_factory=list)
