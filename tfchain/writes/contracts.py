"""Contracts: made, changed, reported on, billed and cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from gridtypes.ids import ContractId, NodeId
from tfchain.keys import Identity
from tfchain.models import ContractResources, NruConsumption
from tfchain.models.contract import deployment_hash_field
from tfchain.reads import CONTRACTS
from tfchain.writes.submitting import Submitting, stored


class ContractWrites(Submitting):
    async def create_node_contract(
        self,
        key: Identity,
        node: NodeId,
        hash_hex: str,
        data: bytes | str,
        public_ips: int = 0,
        solution_provider: int | None = None,
    ) -> ContractId:
        """Make a contract for a deployment with this hash, reserving public addresses of the farm.

        `solution_provider` is the approved provider who gets a share of its bills.
        """
        arguments = {
            "node_id": node,
            "deployment_hash": deployment_hash_field(hash_hex),
            "deployment_data": _bytes(data),
            "public_ips": public_ips,
            "solution_provider_id": solution_provider,
        }
        receipt = await self.submit(key, CONTRACTS, "create_node_contract", arguments)
        return ContractId(stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def update_node_contract(
        self, key: Identity, contract: ContractId, hash_hex: str, data: bytes | str
    ) -> None:
        arguments = {
            "contract_id": contract,
            "deployment_hash": deployment_hash_field(hash_hex),
            "deployment_data": _bytes(data),
        }
        await self.submit(key, CONTRACTS, "update_node_contract", arguments)

    async def create_name_contract(self, key: Identity, name: str) -> ContractId:
        """Reserve a name for a gateway."""
        receipt = await self.submit(key, CONTRACTS, "create_name_contract", {"name": name.encode()})
        return ContractId(stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def create_rent_contract(
        self, key: Identity, node: NodeId, solution_provider: int | None = None
    ) -> ContractId:
        """Rent a whole node."""
        arguments = {"node_id": node, "solution_provider_id": solution_provider}
        receipt = await self.submit(key, CONTRACTS, "create_rent_contract", arguments)
        return ContractId(stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def cancel_contract(self, key: Identity, contract: ContractId) -> None:
        await self.submit(key, CONTRACTS, "cancel_contract", {"contract_id": contract})

    async def report_contract_resources(self, key: Identity, resources: Sequence[ContractResources]) -> None:
        """What deployments use, as their node sees it."""
        values = [one.to_value() for one in resources]
        await self.submit(key, CONTRACTS, "report_contract_resources", {"contract_resources": values})

    async def report_network_use(self, key: Identity, reports: Sequence[NruConsumption]) -> None:
        """What deployments sent and received, as their node counted it."""
        values = [one.to_value() for one in reports]
        await self.submit(key, CONTRACTS, "add_nru_reports", {"reports": values})

    async def bill_contract(self, key: Identity, contract: ContractId) -> None:
        """Have a contract billed now instead of at its turn."""
        await self.submit(key, CONTRACTS, "bill_contract_for_block", {"contract_id": contract})

    async def attach_solution_provider(self, key: Identity, contract: ContractId, provider: int) -> None:
        """Say through which approved provider a contract came; once for each contract."""
        arguments = {"contract_id": contract, "solution_provider_id": provider}
        await self.submit(key, CONTRACTS, "attach_solution_provider_id", arguments)


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
