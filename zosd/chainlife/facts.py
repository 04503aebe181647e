"""The chain as accept path and context see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import structlog

from gridtypes import ContractId, NodeId, TwinId
from provisioners.protocol import ReservedIp
from tfchain import Chain, ChainError, ChainUnavailable, NotFound
from tfchain.models import Contract, NodeContract
from tfchain.models import ContractState as ChainState
from zosd.accept.contract import ContractState, ContractView

T = TypeVar("T")

log = structlog.get_logger(__name__)

LIMIT = 10.0
"""Seconds for one look at the chain within a call."""
LIMIT_WHILE_AWAY = 2.0
"""The same, shortly after a look that failed: calls that may wait for the chain need not all wait for its time-out."""
BELIEVED_AWAY = 15.0
LOOK_AGAIN = 1.0

_STATES = {
    ChainState.CREATED: ContractState.CREATED,
    ChainState.GRACE_PERIOD: ContractState.GRACE,
    ChainState.DELETED: ContractState.ENDED,
}


class TfchainFacts:
    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._away_until = 0.0
        """Monotonic time up to which the chain is believed to be away."""

    async def twin_key(self, twin: TwinId) -> bytes | None:
        found = await self._limited(self._chain.twin(twin))
        if found is None:
            found = await self._limited(self._chain.find_twin(twin))
        return found.account_id if found else None

    async def contract(self, id: ContractId) -> ContractView | None:
        found = await self._limited(self._chain.contract(id))
        return view(found) if found else None

    async def find(self, id: ContractId, patience: float) -> ContractView | None:
        try:
            return view(await self._limited(self._chain.find_contract(id, patience), patience + LIMIT))
        except NotFound:
            return None

    async def height(self) -> int:
        return (await self._limited(self._chain.head())).number

    async def renter(self, node: NodeId) -> TwinId | None:
        return await self._owner(await self._limited(self._chain.rent_contract(node)))

    async def name_owner(self, name: str, patience: float) -> TwinId | None:
        until = time.monotonic() + patience
        while True:
            owner = await self._owner(await self._limited(self._chain.contract_by_name(name)))
            left = until - time.monotonic()
            if owner is not None or left <= 0:
                return owner
            await asyncio.sleep(min(LOOK_AGAIN, left))

    async def _owner(self, id: ContractId | None) -> TwinId | None:
        """The twin of a contract that has not ended."""
        found = await self._limited(self._chain.contract(id)) if id is not None else None
        if found is None or found.state is ChainState.DELETED:
            return None
        return found.twin_id

    async def _limited(self, work: Awaitable[T], limit: float = LIMIT) -> T:
        """Raises ChainUnavailable for everything but an answer and `NotFound`."""
        if time.monotonic() < self._away_until:
            limit = min(limit, LIMIT_WHILE_AWAY)
        try:
            async with asyncio.timeout(limit):
                result = await work
        except NotFound:
            raise
        except (TimeoutError, ChainUnavailable, ChainError) as error:
            self._away_until = time.monotonic() + BELIEVED_AWAY
            if isinstance(error, ChainUnavailable):
                raise
            raise ChainUnavailable(str(error) or f"no answer within {limit:g} s") from error
        self._away_until = 0.0
        return result

    async def reserved(self, contract: ContractId) -> Sequence[ReservedIp] | None:
        """The addresses that a contract holds; None when there is no such contract."""
        found = await self.contract(contract)
        return found.addresses if found else None


def view(contract: Contract) -> ContractView:
    content = contract.content
    node = content if isinstance(content, NodeContract) else None
    return ContractView(
        id=contract.contract_id,
        twin=contract.twin_id,
        state=_STATES[contract.state],
        node=node.node_id if node else None,
        hash=node.deployment_hash if node else "",
        addresses=_addresses(node) if node else (),
    )


def _addresses(content: NodeContract) -> tuple[ReservedIp, ...]:
    found = []
    for one in content.public_ips_list:
        try:
            address = one.parsed()
        except ValueError as error:
            log.warning(
                "reserved address cannot be used", address=one.ip, gateway=one.gateway, why=str(error)
            )
            continue
        found.append(ReservedIp(address.interface, address.gateway))
    return tuple(found)
