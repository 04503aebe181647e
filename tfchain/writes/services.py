"""Agreements between a service and its consumer, and providers of solutions who get a share of what is billed."""

from __future__ import annotations

from collections.abc import Sequence

from tfchain.keys import Identity
from tfchain.models import Provider
from tfchain.reads import CONTRACTS
from tfchain.writes.submitting import Submitting, stored


class ServiceWrites(Submitting):
    async def create_service_contract(self, key: Identity, service: bytes, consumer: bytes) -> int:
        """Begin an agreement between two accounts with twins; the key is one of theirs."""
        arguments = {"service_account": service, "consumer_account": consumer}
        receipt = await self.submit(key, CONTRACTS, "service_contract_create", arguments)
        return int(stored(receipt, CONTRACTS, "ServiceContractCreated")["service_contract_id"])

    async def set_service_metadata(self, key: Identity, contract: int, metadata: bytes) -> None:
        """Say what the agreement is about: 64 bytes at most; by either party."""
        arguments = {"service_contract_id": contract, "metadata": metadata}
        await self.submit(key, CONTRACTS, "service_contract_set_metadata", arguments)

    async def set_service_fees(self, key: Identity, contract: int, base: int, variable: int) -> None:
        """What the service costs, in mUSD an hour; by the service."""
        arguments = {"service_contract_id": contract, "base_fee": base, "variable_fee": variable}
        await self.submit(key, CONTRACTS, "service_contract_set_fees", arguments)

    async def approve_service_contract(self, key: Identity, contract: int) -> None:
        """Agree; billing can begin when both parties did."""
        await self._settle(key, "approve", contract)

    async def reject_service_contract(self, key: Identity, contract: int) -> None:
        """Refuse, which ends it."""
        await self._settle(key, "reject", contract)

    async def cancel_service_contract(self, key: Identity, contract: int) -> None:
        """End it."""
        await self._settle(key, "cancel", contract)

    async def bill_service_contract(
        self, key: Identity, contract: int, variable_amount: int, metadata: bytes = b""
    ) -> None:
        """Take what the time since the last bill (an hour at most) costs; `variable_amount` in mUSD; by the service."""
        arguments = {
            "service_contract_id": contract,
            "variable_amount": variable_amount,
            "metadata": metadata,
        }
        await self.submit(key, CONTRACTS, "service_contract_bill", arguments)

    async def create_solution_provider(
        self, key: Identity, description: str, link: str, providers: Sequence[Provider]
    ) -> int:
        """Propose who shall share in what contracts through this solution cost; the council approves."""
        arguments = {
            "description": description.encode(),
            "link": link.encode(),
            "providers": [provider.to_value() for provider in providers],
        }
        receipt = await self.submit(key, CONTRACTS, "create_solution_provider", arguments)
        return int(stored(receipt, CONTRACTS, "SolutionProviderCreated")["solution_provider_id"])

    async def _settle(self, key: Identity, word: str, contract: int) -> None:
        await self.submit(key, CONTRACTS, f"service_contract_{word}", {"service_contract_id": contract})
