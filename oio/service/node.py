"""What all bases of one service share: its address, its volume, its leases, its way to the other services."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oio.service.leadership import Leadership
from oio.service.names import Names
from oio.service.repository import Repository
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from oio.service.status import NETWORK_STATUSES, ServiceError

T = TypeVar("T")


@dataclass
class Node:
    """One service, and every task that it owns. Its `name` is what peers know it by: its stable id, or its address."""

    name: str
    namespace: str
    repository: Repository
    leadership: Leadership
    rpc: RpcClient
    settings: Settings = field(default_factory=Settings)
    names: Names = field(default_factory=Names)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def call(self, peer: str, verb: str, args: Mapping[str, Any], timeout: float) -> Any:
        """Call a verb of a service that is known by name; ServiceError as of RpcClient, 6 for an unknown name."""
        address = await self.names.address_of(peer)
        try:
            return await self.rpc.call(address, verb, args, timeout)
        except ServiceError as error:
            if error.status in NETWORK_STATUSES:
                self.names.doubt(peer)
            raise

    def spawn(self, work: Coroutine[Any, Any, T], apart: bool = False) -> asyncio.Task[T]:
        """Run something that this service owns and ends when it stops.

        `apart`: it is no part of the request in hand, and does not end with it.
        """
        context = contextvars.Context() if apart else contextvars.copy_context()
        task = asyncio.get_running_loop().create_task(work, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def stop(self) -> None:
        """End everything that runs, close all bases."""
        running = list(self.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(self.repository.close_all)
