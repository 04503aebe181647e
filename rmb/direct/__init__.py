"""A twin's own connection to its relays: calls and answers without a local peer and without Redis.

Caller::

    async with rmb.direct.connect(["wss://relay.example.org"], chain, identity, session="my-tool") as bus:
        version = await bus.call(twin, "zos.system.version", timeout=10)

Service::

    bus.routes.subroute("zos").handle("system.version", version)

`session` tells this program's connection from others of the same twin; only one program may have none.
"""

from rmb.direct.peer import DirectPeer, connect

__all__ = ["DirectPeer", "connect"]
