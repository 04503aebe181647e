"""The reliable message bus: call commands of other twins, and answer theirs.

Caller::

    bus = await rmb.connect()
    version = await bus.call(twin, "zos.system.version", timeout=10)

Service::

    router = rmb.Router()
    zos = router.subroute("zos")
    zos.handle("system.version", version)      # async def version(request: rmb.Request) -> dict
    await router.serve()

Both talk to the local Redis; `rmb-peer` carries the messages between twins.  The wire format is in `rmb.gen1`.
"""

from rmb.client import Client, connect
from rmb.errors import (
    BusUnavailable,
    CallTimeout,
    HandlerError,
    InvalidAnswer,
    NotDelivered,
    RemoteError,
    RmbError,
)
from rmb.request import Request
from rmb.router import Router
from rmb.routes import Handler, Middleware, Routes

__all__ = [
    "BusUnavailable",
    "CallTimeout",
    "Client",
    "Handler",
    "HandlerError",
    "InvalidAnswer",
    "Middleware",
    "NotDelivered",
    "RemoteError",
    "Request",
    "RmbError",
    "Router",
    "Routes",
    "connect",
]
