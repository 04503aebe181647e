"""The one table of commands and who may call them (node-api §1.5, §2, §10)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from structlog.contextvars import bind_contextvars

import rmb
from gridtypes import TwinId


class Who(Enum):
    ANY = "any"
    """Every twin whose message verifies."""
    OWNER = "owner"
    """Every twin; what it gets is looked up by its own id, so that others' things are simply not found."""
    FARMER = "farmer"
    """The twin of the node's farm."""
    ADMIN = "admin"
    """A twin that the node's configuration names."""


@dataclass(frozen=True, slots=True)
class Command:
    who: Who
    light: bool = True
    """Light nodes serve it too; else they do not know the name."""
    aliases: tuple[str, ...] = ()
    """Former names that clients still use; same handler, same check."""


COMMANDS: Mapping[str, Command] = {
    "deployment.deploy": Command(Who.OWNER),
    "deployment.update": Command(Who.OWNER),
    "deployment.delete": Command(Who.ANY),
    "deployment.get": Command(Who.OWNER),
    "deployment.list": Command(Who.OWNER),
    "deployment.changes": Command(Who.OWNER),
    "statistics.get": Command(Who.ANY),
    "storage.pools": Command(Who.ANY),
    "storage.left_alone": Command(Who.ANY),
    "gpu.list": Command(Who.ANY),
    "network.list_wg_ports": Command(Who.ANY),
    "network.public_config_get": Command(Who.ANY),
    "network.interfaces": Command(Who.ANY),
    "network.has_ipv6": Command(Who.ANY),
    "network.list_public_ips": Command(Who.ANY, light=False),
    "network.list_private_ips": Command(Who.OWNER),
    "admin.interfaces": Command(Who.FARMER, aliases=("network.admin.interfaces",)),
    "admin.set_public_nic": Command(Who.FARMER, aliases=("network.admin.set_public_nic",)),
    "admin.get_public_nic": Command(Who.FARMER, aliases=("network.admin.get_public_nic",)),
    "admin.doctor": Command(Who.FARMER),
    "system.version": Command(Who.ANY),
    "system.dmi": Command(Who.ANY),
    "system.hypervisor": Command(Who.ANY),
    "system.diagnostics": Command(Who.ANY),
    "system.node_features_get": Command(Who.ANY),
    "perf.get": Command(Who.ANY),
    "perf.get_all": Command(Who.ANY),
    "location.get": Command(Who.ANY),
    "debug.deployment.list": Command(Who.ADMIN, light=False),
    "debug.deployment.get": Command(Who.ADMIN, light=False),
    "debug.deployment.history": Command(Who.ADMIN, light=False),
    "debug.deployment.info": Command(Who.ADMIN, light=False),
    "debug.deployment.health": Command(Who.ADMIN, light=False),
}
"""Names below `zos.`.  A handler for anything else is a programming error, and so is a command without one.

`network.public_config_set` and `logs.vm` were routed once; neither is served: the public configuration comes from the
chain alone, and the other gave any file to any twin.
"""

GUARDED = {"admin": Who.FARMER, "network.admin": Who.FARMER, "debug": Who.ADMIN}
"""Sections in which a stranger does not even learn which names there are."""

NOT_FOUND = "function is not found"
UNAUTHORIZED = "unauthorized"

Handler = Callable[[rmb.Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Callers:
    """Who has a name here."""

    farmer: Callable[[], Awaitable[TwinId | None]]
    """None while the farm is not known."""
    admins: Collection[TwinId] = ()

    async def may(self, who: Who, twin: TwinId) -> bool:
        match who:
            case Who.FARMER:
                return twin == await self.farmer()
            case Who.ADMIN:
                return twin in self.admins
            case _:
                return True


def register(
    router: rmb.Router,
    handlers: Mapping[str, Handler],
    callers: Callers,
    *,
    light: bool = False,
    answered: Callable[[str, str, float], None] = lambda command, end, seconds: None,
) -> None:
    """Put every command of the table on the bus, behind its check.

    `answered` is told of each call its command, its end (`ok`, `refused`, `failed`) and the seconds it took.
    Raises ValueError when handlers and table do not fit.
    """
    if handlers.keys() != COMMANDS.keys():
        odd = sorted(handlers.keys() ^ COMMANDS.keys())
        raise ValueError(f"commands and handlers differ: {', '.join(odd)}")
    zos = router.subroute("zos")
    served = {name: command for name, command in COMMANDS.items() if command.light or not light}
    names = [name for each, command in served.items() for name in (each, *command.aliases)]
    for section, who in GUARDED.items():
        if any(name.startswith(f"{section}.") for name in names):
            _level(zos, section).use(_guard(who, callers))
    for command, entry in served.items():
        for name in (command, *entry.aliases):
            section, _, last = name.rpartition(".")
            guarded = _guarded(handlers[command], entry.who, callers)
            _level(zos, section).handle(last, _timed(command, guarded, answered))


def _timed(command: str, handler: Handler, answered: Callable[[str, str, float], None]) -> Handler:
    async def call(request: rmb.Request) -> Any:
        began, end = time.monotonic(), "failed"
        bind_contextvars(twin=int(request.source), command=command)
        try:
            answer = await handler(request)
            end = "ok"
            return answer
        except rmb.RmbError:
            end = "refused"
            raise
        finally:
            answered(command, end, time.monotonic() - began)

    return call


def _level(zos: rmb.Routes, section: str) -> rmb.Routes:
    for segment in section.split("."):
        zos = zos.subroute(segment)
    return zos


def _guard(who: Who, callers: Callers) -> Callable[[rmb.Request], Awaitable[None]]:
    async def check(request: rmb.Request) -> None:
        if not await callers.may(who, request.source):
            raise rmb.HandlerError(UNAUTHORIZED)

    return check


def _guarded(handler: Handler, who: Who, callers: Callers) -> Handler:
    check = _guard(who, callers)

    async def call(request: rmb.Request) -> Any:
        await check(request)
        return await handler(request)

    return call
