"""The grid's people on the chain: farmer with farm and public addresses, user, and which node has which number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import rmb
from devgrid import layout
from devgrid.layout import GridLayout, NodeLayout
from gridtypes import FarmId, NodeId, TwinId
from tfchain import Chain
from tfchain.keys import Identity
from tfchain.models import Node
from tfchain.planetary_address import planetary_address

TERMS = ("http://development.grid/terms", "0" * 32)
T = TypeVar("T")
POLL_S = 0.3
CALL_TIMEOUT_S = 5.0


class NotReady(Exception):
    """A node did not register or does not answer in time."""


class Farm:
    """What the chain knows of this grid; everything is ensured, so that a grid resumes."""

    def __init__(self, grid: GridLayout) -> None:
        self.grid = grid
        self.farm = FarmId(0)
        self.twins: dict[str, TwinId] = {}
        self.nodes: dict[str, NodeId] = {}
        self.addresses: dict[str, str] = {}
        self._chain: Chain | None = None

    async def ensure(self) -> None:
        """Twins of farmer and user, the farm and its public addresses.

        In a grid without overlay the nodes' twins too: their addresses are told to every peer beforehand.
        """
        chain = await self._connect()
        farmer, user = Identity.load(self.grid.farmer_key), Identity.load(self.grid.user_key)
        # The farmer has no peer of his own: his programs connect to the relay by themselves.
        self.twins["farmer"] = await self._twin(chain, farmer, None if self.grid.null else layout.RELAY_HOST)
        self.twins["user"] = await self._twin(chain, user)
        if self.grid.null:
            for node in self.grid.members:
                self.twins[node.name] = await self._twin(chain, Identity.load(node.key))
        found = await chain.farm_by_name(layout.FARM_NAME)
        self.farm = found or await chain.create_farm(farmer, layout.FARM_NAME)
        farm = await chain.farm(self.farm)
        have = {address.ip for address in farm.public_ips} if farm else set()
        for address in layout.PUBLIC_ADDRESSES:
            if str(address) not in have:
                await chain.add_farm_ip(farmer, self.farm, str(address), str(layout.PUBLIC_GATEWAY.ip))

    async def wait_for_registration(self, node: NodeLayout, limit: float) -> None:
        """Wait until the node is on the chain.  Raises NotReady."""
        chain = await self._connect()
        key = Identity.load(node.key).public_key
        twin = await _until(lambda: chain.twin_by_account(key), limit, f"{node.name} made no twin")
        self.twins[node.name] = twin
        self.addresses[node.name] = str(planetary_address(key))
        self.nodes[node.name] = await _until(
            lambda: chain.node_by_twin(twin), limit, f"{node.name} (twin {twin}) did not register"
        )

    async def wait_for_new_node(self, name: str, known: NodeId | None, limit: float) -> NodeId:
        """Wait for node `known`, or for one that no member of the grid is.  Raises NotReady."""
        chain = await self._connect()

        async def look() -> Node | None:
            taken = set(self.nodes.values())
            for node in await chain.nodes():
                if node.id == known or (known is None and node.id not in taken):
                    return node
            return None

        found = await _until(look, limit, f"{name} did not register")
        self.nodes[name], self.twins[name] = found.id, found.twin_id
        twin = await chain.twin(found.twin_id)
        if twin is not None:
            self.addresses[name] = str(planetary_address(twin.account_id))
        return found.id

    async def wait_for_answer(self, node: NodeLayout, limit: float) -> None:
        """Wait until a registered node answers the user over the bus.  Raises NotReady."""
        await self.wait_for_answer_of(node.name, limit)

    async def wait_for_answer_of(self, name: str, limit: float) -> None:
        """The same for a node of whatever kind, by its name in the grid.  Raises NotReady."""
        twin = self.twins[name]
        async with await rmb.connect(f"unix://{self.grid.client_redis}") as client:

            async def version() -> object | None:
                try:
                    answer: object = await client.call(
                        twin, "zos.system.version", None, timeout=CALL_TIMEOUT_S
                    )
                except rmb.RmbError:
                    return None
                return answer

            await _until(version, limit, f"{name} (twin {twin}) does not answer over the bus")

    async def close(self) -> None:
        if self._chain is not None:
            await self._chain.close()

    async def _connect(self) -> Chain:
        if self._chain is None:
            self._chain = Chain([self.grid.chain_url])
        return self._chain

    async def _twin(self, chain: Chain, key: Identity, relay: str | None = None) -> TwinId:
        found = await chain.twin_by_account(key.public_key)
        if found is not None:
            return found
        await chain.accept_terms(key, *TERMS)
        return await chain.create_twin(key, relay, None)


async def _until(ask: Callable[[], Awaitable[T | None]], limit: float, reason: str) -> T:
    deadline = time.monotonic() + limit
    while (answer := await ask()) is None:
        if time.monotonic() > deadline:
            raise NotReady(f"{reason} within {limit:.0f} s")
        await asyncio.sleep(POLL_S)
    return answer
