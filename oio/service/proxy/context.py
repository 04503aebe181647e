"""What all routes of one proxy share."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from oio.service.proxy.call import Answer, Call
from oio.service.proxy.catalogue import Catalogue
from oio.service.proxy.directory import Directory
from oio.service.rpc import RpcClient
from oio.service.settings import Settings

MAX_LOCAL: Final = 4096


@dataclass
class Proxy:
    """A proxy's namespace, its ways to the services, its settings and counters."""

    namespace: str
    rpc: RpcClient
    catalogue: Catalogue
    directory: Directory
    settings: Settings
    local: dict[tuple[str, str], tuple[float, dict[str, Any]]] = field(default_factory=dict)
    requests: int = 0

    def note_local(self, service: dict[str, Any]) -> None:
        """Remember that a service registered through this proxy."""
        self.local[(service["type"], service["addr"])] = (time.monotonic(), service)
        if len(self.local) > MAX_LOCAL:
            self.local.pop(next(iter(self.local)))

    def recent_local(self) -> list[dict[str, Any]]:
        """Services that registered through this proxy in the last 30 s, or what is set."""
        oldest = time.monotonic() - self.settings.microseconds("proxy.ttl.services.local")
        return [service for since, service in self.local.values() if since > oldest]


Route = Callable[[Proxy, Call], Awaitable[Answer]]
Routes = dict[tuple[str, str], Route]
"""(method, path below the namespace) -> what answers."""
