"""What can be asked of the chain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from gridtypes.ids import ContractId, FarmId, NodeId, TwinId
from tfchain.access import Access
from tfchain.codec.values import Value
from tfchain.errors import ChainClosed, ChainError, ChainUnavailable, NotFound
from tfchain.lease import Lease
from tfchain.models import Bill, Contract, ContractLock, ContractResources, Farm, Head, Node, NodePower, Twin
from tfchain.models.contract import deployment_hash_field
from tfchain.models.values import variant
from tfchain.runtime import Version

Progress = Callable[[int], None]
"""Told how many entries of a long scan were fetched so far."""

VALUES_PER_REQUEST = 256
LOOK_AGAIN = 1.0
"""Seconds between two looks for something that is not there yet."""

LOOK_TIMEOUT = 3.0
BILL_LATEST = 10
"""Blocks after a contract's turn within which its bill comes."""

log = logging.getLogger(__name__)

TFGRID = "TfgridModule"
CONTRACTS = "SmartContractModule"


class Reads:
    """Reads see the best block.  Each raises `ChainUnavailable` when no endpoint answers in time."""

    _access: Access

    async def head(self) -> Head:
        """The best block."""
        return await self._access.run(lambda lease: lease.best())

    async def finalised_head(self) -> Head:
        return await self._access.run(lambda lease: lease.finalised())

    async def genesis_hash(self) -> bytes:
        """What tells one chain from another."""
        return await self._access.run(_genesis)

    async def runtime_version(self) -> Version:
        return await self._access.run(_version)

    async def now(self) -> int:
        """The chain's own clock: time of the best block, Unix time in milliseconds."""
        return int(await self._read("Timestamp", "Now"))

    async def balance(self, public_key: bytes) -> int:
        """What an account can spend, in the smallest unit (10^7 are one TFT); 0 when it does not exist."""
        data = (await self._read("System", "Account", public_key))["data"]
        return max(int(data["free"]) - int(data["frozen"]), 0)

    async def nonce(self, public_key: bytes) -> int:
        """How many extrinsics of the account are in blocks."""
        return int((await self._read("System", "Account", public_key))["nonce"])

    async def has_accepted_terms(self, public_key: bytes) -> bool:
        return bool(await self._read(TFGRID, "UsersTermsAndConditions", public_key))

    async def twin(self, twin_id: TwinId) -> Twin | None:
        value = await self._read(TFGRID, "Twins", twin_id)
        return None if value is None else Twin.from_value(value)

    async def find_twin(self, twin_id: TwinId) -> Twin | None:
        """A twin that somebody says exists: looked for on every endpoint, as some may show an older state.

        Raises `ChainUnavailable` when no endpoint answered.
        """
        value, block = await self._look_everywhere(TFGRID, "Twins", twin_id)
        if value is None and block < 0:
            raise ChainUnavailable(f"no endpoint could be asked for twin {twin_id}")
        return None if value is None else Twin.from_value(value)

    async def twin_by_account(self, public_key: bytes) -> TwinId | None:
        value = await self._read(TFGRID, "TwinIdByAccountID", public_key)
        return TwinId(value) if value else None

    async def farm(self, farm_id: FarmId) -> Farm | None:
        value = await self._read(TFGRID, "Farms", farm_id)
        return None if value is None else Farm.from_value(value)

    async def farm_by_name(self, name: str) -> FarmId | None:
        value = await self._read(TFGRID, "FarmIdByName", name.encode())
        return FarmId(value) if value else None

    async def farms(self) -> list[Farm]:
        """All farms, in the order of their ids."""
        found = [Farm.from_value(value) async for value in self.iterate(TFGRID, "Farms")]
        return sorted(found, key=lambda farm: farm.id)

    async def node(self, node_id: NodeId) -> Node | None:
        value = await self._read(TFGRID, "Nodes", node_id)
        return None if value is None else Node.from_value(value)

    async def node_by_twin(self, twin_id: TwinId) -> NodeId | None:
        value = await self._read(TFGRID, "NodeIdByTwinID", twin_id)
        return NodeId(value) if value else None

    async def nodes(self, farm: FarmId | None = None) -> list[Node]:
        """The nodes of a farm, or all; in the order of their ids."""
        if farm is None:
            found = [Node.from_value(value) async for value in self.iterate(TFGRID, "Nodes")]
        else:
            found = await self._access.run(lambda lease: _nodes_of_farm(lease, farm))
        return sorted(found, key=lambda node: node.id)

    async def node_power(self, node_id: NodeId) -> NodePower:
        return NodePower.from_value(await self._read(TFGRID, "NodePower", node_id))

    async def contract(self, contract_id: ContractId) -> Contract | None:
        value = await self._read(CONTRACTS, "Contracts", contract_id)
        return None if value is None else Contract.from_value(value)

    async def find_contract(self, contract_id: ContractId, patience: float = 20.0) -> Contract:
        """A contract that somebody says exists: an endpoint that is behind does not make it absent.

        Looks on every endpoint, again and again for `patience` seconds.  Raises `NotFound`, naming the highest block
        that was looked at, and `ChainUnavailable` when no endpoint answered at all.
        """
        deadline = time.monotonic() + patience
        highest = -1
        while True:
            value, block = await self._look_everywhere(CONTRACTS, "Contracts", contract_id)
            if value is not None:
                return Contract.from_value(value)
            highest = max(highest, block)
            if time.monotonic() + LOOK_AGAIN > deadline:
                break
            await asyncio.sleep(LOOK_AGAIN)
        if highest < 0:
            raise ChainUnavailable(
                f"no endpoint could be asked for contract {contract_id} within {patience:g} s"
            )
        raise NotFound(f"contract {contract_id} is not on the chain: looked for it up to block {highest}")

    async def node_contracts(self, node_id: NodeId) -> list[ContractId]:
        """The contracts that are active on a node; those in their grace period are among them."""
        return [ContractId(one) for one in await self._read(CONTRACTS, "ActiveNodeContracts", node_id)]

    async def contracts(self, ids: Sequence[ContractId]) -> dict[ContractId, Contract]:
        """Several contracts as of one block; those that do not exist are left out."""
        values = await self._access.run(lambda lease: _many(lease, CONTRACTS, "Contracts", ids))
        made = (Contract.from_value(value) for value in values if value is not None)
        return {contract.contract_id: contract for contract in made}

    async def contract_by_node_and_hash(self, node_id: NodeId, hash_hex: str) -> ContractId | None:
        hash_field = deployment_hash_field(hash_hex)
        value = await self._read(CONTRACTS, "ContractIDByNodeIDAndHash", node_id, hash_field)
        return ContractId(value) if value else None

    async def contract_by_name(self, name: str) -> ContractId | None:
        """The name contract that holds a name."""
        value = await self._read(CONTRACTS, "ContractIDByNameRegistration", name.encode())
        return ContractId(value) if value else None

    async def rent_contract(self, node_id: NodeId) -> ContractId | None:
        """The rent contract of a node."""
        value = await self._read(CONTRACTS, "ActiveRentContractForNode", node_id)
        return ContractId(value) if value else None

    async def contract_lock(self, contract_id: ContractId) -> ContractLock:
        """What is owed for it; all zero for a contract that is not there."""
        return ContractLock.from_value(await self._read(CONTRACTS, "ContractLock", contract_id))

    async def last_bill(self, contract_id: ContractId) -> Bill | None:
        """The newest bill that is not older than two rounds of billing; None when there is none.

        A contract's turn is every `BillingFrequency` blocks; the validators' bills follow within a few blocks.
        """
        head = await self.head()
        frequency = max(1, int(await self._read(CONTRACTS, "BillingFrequency") or 1))
        turn = head.number - (head.number - contract_id) % frequency
        for first in (turn, turn - frequency, turn - 2 * frequency):
            last = min(first + min(BILL_LATEST, frequency - 1), head.number)
            for number in range(last, max(first, 1) - 1, -1):
                bill = await self._access.run(partial(_bill, contract_id, number))
                if bill is not None:
                    return bill
        return None

    async def contract_resources(self, contract_id: ContractId) -> ContractResources:
        """What the node last reported; all zero before that."""
        return ContractResources.from_value(await self._read(CONTRACTS, "NodeContractResources", contract_id))

    async def last_traffic_report(self, contract_id: ContractId) -> int:
        """Time stamp of the newest traffic report that counted, Unix seconds; 0 for none."""
        value = await self._read(CONTRACTS, "ContractBillingInformationByID", contract_id)
        return int(value["last_updated"]) if value else 0

    async def _read(self, pallet: str, item: str, *keys: Value) -> Any:
        return await self._access.run(lambda lease: lease.storage(pallet, item, *keys))

    async def iterate_twins(self, progress: Progress | None = None) -> AsyncIterator[Twin]:
        """All twins as of one block, in no order."""
        async for value in self.iterate(TFGRID, "Twins", progress):
            yield Twin.from_value(value)

    async def iterate_contracts(self, progress: Progress | None = None) -> AsyncIterator[Contract]:
        """All contracts as of one block, in no order."""
        async for value in self.iterate(CONTRACTS, "Contracts", progress):
            yield Contract.from_value(value)

    async def iterate(self, pallet: str, item: str, progress: Progress | None = None) -> AsyncIterator[Any]:
        """All values of a map as of one block, fetched page by page; `progress` is told after each page."""
        seen = 0
        block = await self._access.run(lambda lease: lease.best())
        after: bytes | None = None
        while True:
            keys, values = await self._access.run(partial(_page, pallet, item, after, block.hash))
            if not keys:
                return
            seen += len(keys)
            if progress is not None:
                progress(seen)
            for value in values:
                yield value
            after = keys[-1]

    async def _look_everywhere(self, pallet: str, item: str, id: int) -> tuple[Any, int]:
        """The value as the first endpoint that has it shows it, and the highest block that was looked at."""

        async def look(lease: Lease) -> tuple[Any, int]:
            block = await lease.best()
            return await lease.storage(pallet, item, id, at=block.hash), block.number

        asked = [
            asyncio.create_task(self._access.run_on(endpoint, look, LOOK_TIMEOUT))
            for endpoint in self._access.endpoints
        ]
        highest = -1
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    found, block = await answer
                except ChainClosed:
                    raise
                except (ChainUnavailable, ChainError) as error:
                    log.debug("looking for %s %d: %s", item, id, error)
                    continue
                if found is not None:
                    return found, block
                highest = max(highest, block)
            return None, highest
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)


async def _genesis(lease: Lease) -> bytes:
    return lease.genesis


async def _version(lease: Lease) -> Version:
    return lease.runtime.version


async def _nodes_of_farm(lease: Lease, farm: FarmId) -> list[Node]:
    ids = await lease.storage(TFGRID, "NodesByFarmID", farm)
    return [Node.from_value(value) for value in await _many(lease, TFGRID, "Nodes", ids) if value is not None]


async def _bill(contract_id: ContractId, number: int, lease: Lease) -> Bill | None:
    """The bill of a contract in a block, if there is one and the events are kept."""
    try:
        events = await lease.events(await lease.block_hash(number))
    except NotFound:
        return None
    for event in events:
        if (event.pallet, event.name) == (CONTRACTS, "ContractBilled"):
            fields = event.attributes.get("0", event.attributes)
            if fields["contract_id"] == contract_id:
                level, _ = variant(fields["discount_level"])
                return Bill(number, fields["timestamp"], fields["amount_billed"], level)
    return None


async def _many(lease: Lease, pallet: str, item: str, ids: Sequence[int]) -> list[Value]:
    """The values of a map for several ids, as of one block."""
    block = await lease.best()
    keys = [lease.runtime.storage_key(pallet, item, one) for one in ids]
    return await _values(lease, pallet, item, keys, block.hash)


async def _page(
    pallet: str, item: str, after: bytes | None, at: bytes, lease: Lease
) -> tuple[list[bytes], list[Value]]:
    keys = await lease.map_keys(pallet, item, after, at)
    return keys, await _values(lease, pallet, item, keys, at)


async def _values(lease: Lease, pallet: str, item: str, keys: Sequence[bytes], at: bytes) -> list[Value]:
    raw: list[bytes | None] = []
    for start in range(0, len(keys), VALUES_PER_REQUEST):
        raw += await lease.raw_values(keys[start : start + VALUES_PER_REQUEST], at)
    return [lease.runtime.storage_value(pallet, item, one) for one in raw]
