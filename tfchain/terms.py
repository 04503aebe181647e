"""What can be asked of the chain about the grid's terms: prices, policies, certifiers, providers, the council."""

from __future__ import annotations

from gridtypes.ids import ContractId, FarmId, NodeId, TwinId
from tfchain.models import Entity, FarmingPolicy, PricingPolicy, ServiceContract, SolutionProvider, Vote
from tfchain.models.values import text
from tfchain.reads import CONTRACTS, TFGRID, Reads

PRICE = "TFTPriceModule"
COUNCIL = "Council"


class Terms(Reads):
    """Reads see the best block, as those of `Reads` do, and raise the same."""

    async def entity(self, entity_id: int) -> Entity | None:
        value = await self._read(TFGRID, "Entities", entity_id)
        return None if value is None else Entity.from_value(value)

    async def entity_by_account(self, public_key: bytes) -> int | None:
        return await self._read(TFGRID, "EntityIdByAccountID", public_key) or None

    async def entity_by_name(self, name: str) -> int | None:
        return await self._read(TFGRID, "EntityIdByName", name.encode()) or None

    async def bonded_account(self, twin_id: TwinId) -> bytes | None:
        """The account that keeps a twin's funds, when it is another than its own."""
        account: bytes | None = await self._read(TFGRID, "TwinBoundedAccountID", twin_id)
        return account

    async def farm_payout_address(self, farm_id: FarmId) -> str | None:
        """The Stellar address to which a farm's income goes."""
        value = await self._read(TFGRID, "FarmPayoutV2AddressByFarmID", farm_id)
        return text(value) if value else None

    async def node_extra_fee(self, node_id: NodeId) -> int:
        """What the farmer wants for the whole node beside its resources, in mUSD a month."""
        return int(await self._read(CONTRACTS, "DedicatedNodesExtraFee", node_id))

    async def pricing_policy(self, policy_id: int) -> PricingPolicy | None:
        value = await self._read(TFGRID, "PricingPolicies", policy_id)
        return None if value is None else PricingPolicy.from_value(value)

    async def pricing_policy_by_name(self, name: str) -> int | None:
        return await self._read(TFGRID, "PricingPolicyIdByName", name.encode()) or None

    async def pricing_policies(self) -> list[PricingPolicy]:
        """All, in the order of their ids."""
        found = [PricingPolicy.from_value(value) async for value in self.iterate(TFGRID, "PricingPolicies")]
        return sorted(found, key=lambda policy: policy.id)

    async def farming_policy(self, policy_id: int) -> FarmingPolicy | None:
        value = await self._read(TFGRID, "FarmingPoliciesMap", policy_id)
        return FarmingPolicy.from_value(value) if value and value["id"] else None

    async def farming_policies(self) -> list[FarmingPolicy]:
        """All, in the order of their ids."""
        values = self.iterate(TFGRID, "FarmingPoliciesMap")
        found = [FarmingPolicy.from_value(value) async for value in values]
        return sorted(found, key=lambda policy: policy.id)

    async def solution_provider(self, provider_id: int) -> SolutionProvider | None:
        value = await self._read(CONTRACTS, "SolutionProviders", provider_id)
        return None if value is None else SolutionProvider.from_value(value)

    async def service_contract(self, contract_id: int) -> ServiceContract | None:
        value = await self._read(CONTRACTS, "ServiceContracts", contract_id)
        return None if value is None else ServiceContract.from_value(value)

    async def billing_frequency(self) -> int:
        """Blocks between two bills of a contract."""
        return int(await self._read(CONTRACTS, "BillingFrequency"))

    async def unbilled_network_use(self, contract_id: ContractId) -> int:
        """What the network use of a contract has cost since the last bill, in units of 10^-7 USD."""
        value = await self._read(CONTRACTS, "ContractBillingInformationByID", contract_id)
        return int(value["amount_unbilled"])

    async def tft_price(self) -> int:
        """The price that was set last, in mUSD."""
        return int(await self._read(PRICE, "TftPrice"))

    async def average_tft_price(self) -> int:
        """The average price of a day, in mUSD: what bills use, within `tft_price_bounds`."""
        return int(await self._read(PRICE, "AverageTftPrice"))

    async def tft_price_bounds(self) -> tuple[int, int]:
        """The least and the greatest price in mUSD that bills use."""
        lowest = await self._read(PRICE, "MinTftPrice")
        return int(lowest), int(await self._read(PRICE, "MaxTftPrice"))

    async def node_certifiers(self) -> list[bytes]:
        """Accounts that may certify nodes."""
        return list(await self._read(TFGRID, "AllowedNodeCertifiers") or [])

    async def connection_price(self) -> int:
        """The price with which new nodes begin, in mUSD."""
        return int(await self._read(TFGRID, "ConnectionPrice"))

    async def zos_version(self) -> str:
        """What nodes shall run, as the council put it."""
        return text(await self._read(TFGRID, "ZosVersion") or b"")

    async def council(self) -> list[bytes]:
        """Accounts of the council's members."""
        return list(await self._read(COUNCIL, "Members"))

    async def proposals(self) -> list[bytes]:
        """Hashes of what the council has not decided yet."""
        return list(await self._read(COUNCIL, "Proposals"))

    async def vote_on(self, proposal: bytes) -> Vote | None:
        """Where the vote on a proposal stands; None when it is decided or was never made."""
        value = await self._read(COUNCIL, "Voting", proposal)
        return None if value is None else Vote.from_value(value)

    async def value(self, public_key: bytes, name: bytes) -> bytes | None:
        """What an account keeps under a name; see `set_value`."""
        kept: bytes = await self._read("TFKVStore", "TFKVStore", public_key, name)
        return kept or None
