"""The one table of commands and who may call them (node-api §1.5, §2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any

import rmb
from gridtypes import TwinId


class Who(Enum):
    ANY = "any"
    """Every twin whose message verifies."""
    OWNER = "owner"
    """Every twin; what it gets is looked up by its own id, so that others' things are simply not found."""
    FARMER = "farmer"
    """The twin of the node's farm."""


COMMANDS: Mapping[str, Who] = {
    "deployment.deploy": Who.OWNER,
    "deployment.update": Who.OWNER,
    "deployment.delete": Who.ANY,
    "deployment.get": Who.OWNER,
    "deployment.list": Who.OWNER,
    "deployment.changes": Who.OWNER,
    "statistics.get": Who.ANY,
    "storage.pools": Who.ANY,
    "storage.left_alone": Who.ANY,
    "network.list_wg_ports": Who.ANY,
    "network.public_config_get": Who.ANY,
    "network.interfaces": Who.ANY,
    "network.has_ipv6": Who.ANY,
    "network.list_public_ips": Who.ANY,
    "network.list_private_ips": Who.OWNER,
    "system.version": Who.ANY,
    "system.hypervisor": Who.ANY,
    "system.node_features_get": Who.ANY,
}
"""Names below `zos.`.  A handler for anything else is a programming error, and so is a command without one."""

NOT_FOUND = "function is not found"

Handler = Callable[[rmb.Request], Awaitable[Any]]
Farmer = Callable[[], Awaitable[TwinId | None]]


def register(router: rmb.Router, handlers: Mapping[str, Handler], farmer: Farmer) -> None:
    """Put every command of the table on the bus, behind its check.

    Raises ValueError when handlers and table do not fit.
    """
    if handlers.keys() != COMMANDS.keys():
        odd = sorted(handlers.keys() ^ COMMANDS.keys())
        raise ValueError(f"commands and handlers differ: {', '.join(odd)}")
    zos = router.subroute("zos")
    for command, who in COMMANDS.items():
        section, _, name = command.partition(".")
        zos.subroute(section).handle(name, _guarded(handlers[command], who, farmer))


def _guarded(handler: Handler, who: Who, farmer: Farmer) -> Handler:
    async def call(request: rmb.Request) -> Any:
        if who is Who.FARMER and request.source != await farmer():
            raise rmb.HandlerError("unauthorized")
        return await handler(request)

    return call
