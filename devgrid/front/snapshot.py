"""What the chain holds of a grid, as of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gridtypes import ContractId, FarmId, NodeId, TwinId
from tfchain import Chain
from tfchain.models import (
    Bill,
    Contract,
    ContractResources,
    ContractState,
    Farm,
    Node,
    NodePower,
    RentContract,
    Resources,
    Twin,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    farms: Sequence[Farm] = ()
    nodes: Sequence[Node] = ()
    twins: Sequence[Twin] = ()
    contracts: Sequence[Contract] = ()
    powers: Mapping[NodeId, NodePower] = field(default_factory=dict)
    used: Mapping[ContractId, Resources] = field(default_factory=dict)
    """What nodes reported of their contracts."""
    extra_fees: Mapping[NodeId, int] = field(default_factory=dict)
    payout_addresses: Mapping[FarmId, str] = field(default_factory=dict)

    def farm(self, number: FarmId) -> Farm | None:
        return next((farm for farm in self.farms if farm.id == number), None)

    def rent_of(self, node: NodeId) -> Contract | None:
        """The rent contract of a node."""
        return next(
            (
                contract
                for contract in self.contracts
                if isinstance(contract.content, RentContract) and contract.content.node_id == node
            ),
            None,
        )

    def used_on(self, node: NodeId) -> Resources:
        """What all contracts of a node use together."""
        parts = [
            self.used[contract.contract_id]
            for contract in self.contracts
            if contract.node_contract is not None
            and contract.node_contract.node_id == node
            and contract.state is not ContractState.DELETED
            and contract.contract_id in self.used
        ]
        return Resources(
            hru=sum(part.hru for part in parts),
            sru=sum(part.sru for part in parts),
            cru=sum(part.cru for part in parts),
            mru=sum(part.mru for part in parts),
        )


class View:
    """The chain's newest state; read again only after another block.  Made for the few nodes of a test grid."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._lock = asyncio.Lock()
        self._head = b""
        self._kept = Snapshot()

    async def now(self) -> Snapshot:
        """Raises ChainUnavailable."""
        async with self._lock:
            head = await self._chain.head()
            if head.hash != self._head:
                self._kept, self._head = await self._read(), head.hash
            return self._kept

    async def last_bill(self, contract: ContractId) -> Bill | None:
        return await self._chain.last_bill(contract)

    async def _read(self) -> Snapshot:
        chain = self._chain
        farms, nodes = await chain.farms(), await chain.nodes()
        powers = await asyncio.gather(*(chain.node_power(node.id) for node in nodes))
        fees = await asyncio.gather(*(chain.node_extra_fee(node.id) for node in nodes))
        payouts = await asyncio.gather(*(chain.farm_payout_address(farm.id) for farm in farms))
        used = [
            ContractResources.from_value(value)
            async for value in chain.iterate("SmartContractModule", "NodeContractResources")
        ]
        twins = [twin async for twin in chain.iterate_twins()]
        contracts = [contract async for contract in chain.iterate_contracts()]
        return Snapshot(
            farms=farms,
            nodes=nodes,
            twins=sorted(twins, key=lambda twin: twin.id),
            contracts=sorted(contracts, key=lambda contract: contract.contract_id),
            powers=dict(zip((node.id for node in nodes), powers, strict=True)),
            used={each.contract_id: each.used for each in used},
            extra_fees=dict(zip((node.id for node in nodes), fees, strict=True)),
            payout_addresses={
                farm.id: address for farm, address in zip(farms, payouts, strict=True) if address
            },
        )


def owner_of(contract: Contract | None) -> TwinId:
    """Whose a contract is; 0 for none."""
    return contract.twin_id if contract is not None else TwinId(0)
