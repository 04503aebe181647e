"""Control methods about endpoints: give this one troubles, open others, cut connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tfchain.devchain.rpc.arguments import Arguments
from tfchain.devchain.rpc.errors import invalid_params
from tfchain.devchain.rpc.view import Troubles

if TYPE_CHECKING:
    from tfchain.devchain.rpc.server import Server

MOST_ENDPOINTS = 16
CUT_AFTER_S = 0.05
"""So that the caller still gets his answer."""


class Endpoints:
    """The further endpoints of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._others: dict[int, Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def methods(self) -> dict[str, Callable[[Arguments], Any]]:
        return {
            "dev_setTroubles": self.set_troubles,
            "dev_dropConnections": self.drop_connections,
            "dev_openEndpoint": self.open,
            "dev_closeEndpoint": self.close_one,
        }

    def set_troubles(self, arguments: Arguments) -> Any:
        """`[{"lag"?, "older_state"?, "mute"?}]`: what is wrong with this endpoint from now on; `{}` heals it."""
        troubles = _troubles(arguments)
        for field in fields(Troubles):
            setattr(self._server.view.troubles, field.name, getattr(troubles, field.name))
        return None

    def drop_connections(self, arguments: Arguments) -> Any:
        """`[]`: cut all WebSocket connections to this endpoint, in a moment."""
        asyncio.get_running_loop().call_later(CUT_AFTER_S, self._server.cut)
        return None

    def open(self, arguments: Arguments) -> Any:
        """`[{troubles}]`: another endpoint of this chain on the same host; answers its port."""
        troubles = _troubles(arguments)
        if len(self._others) >= MOST_ENDPOINTS:
            raise invalid_params(f"there are {MOST_ENDPOINTS} further endpoints already; close one")
        other = self._server.beside(troubles)
        self._others[other.port] = other
        return other.port

    def close_one(self, arguments: Arguments) -> Any:
        """`[port]`: close an endpoint that was opened, with its connections; whether there was one."""
        other = self._others.pop(arguments.number(0, "port"), None)
        if other is not None:
            task = asyncio.get_running_loop().create_task(other.close())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return other is not None

    async def close(self) -> None:
        for other in self._others.values():
            await other.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _troubles(arguments: Arguments) -> Troubles:
    wanted = arguments.raw(0) or {}
    known = {field.name: field.type for field in fields(Troubles)}
    if not isinstance(wanted, dict) or not wanted.keys() <= known.keys():
        raise invalid_params(f"give an object with some of {', '.join(known)}")
    for name, value in wanted.items():
        wants_flag = known[name] in (bool, "bool")
        if isinstance(value, bool) != wants_flag or not isinstance(value, int) or value < 0:
            raise invalid_params(
                f"{name} has to be {'true or false' if wants_flag else 'a number of blocks'}"
            )
    return Troubles(**wanted)
