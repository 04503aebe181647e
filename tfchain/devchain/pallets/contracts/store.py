"""Storage of SmartContractModule, its errors, and the look-ups that many calls share."""

from __future__ import annotations

from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.pallets.tfgrid.store import FARMS, NODES, TWIN_BY_ACCOUNT
from tfchain.devchain.records import (
    Contract,
    ContractBillingInformation,
    ContractLock,
    ContractResources,
    Farm,
    Node,
    ServiceContract,
    SolutionProvider,
)
from tfchain.devchain.storage import DefaultMap, DefaultValue, OptionalMap

PALLET = "SmartContractModule"

CONTRACTS: OptionalMap[int, Contract] = OptionalMap(PALLET, "Contracts")
CONTRACT_ID: DefaultValue[int] = DefaultValue(PALLET, "ContractID")
BILLING_INFORMATION: DefaultMap[int, ContractBillingInformation] = DefaultMap(
    PALLET, "ContractBillingInformationByID"
)
RESOURCES: DefaultMap[int, ContractResources] = DefaultMap(PALLET, "NodeContractResources")
BY_NODE_AND_HASH: DefaultMap[tuple[int, bytes], int] = DefaultMap(PALLET, "ContractIDByNodeIDAndHash")
BY_NAME: DefaultMap[bytes, int] = DefaultMap(PALLET, "ContractIDByNameRegistration")
ACTIVE_ON_NODE: DefaultMap[int, list[int]] = DefaultMap(PALLET, "ActiveNodeContracts")
RENT_OF_NODE: OptionalMap[int, int] = OptionalMap(PALLET, "ActiveRentContractForNode")
TO_BILL_AT: DefaultMap[int, list[int]] = DefaultMap(PALLET, "ContractsToBillAt")
BILLING_FREQUENCY: DefaultValue[int] = DefaultValue(PALLET, "BillingFrequency")
CONTRACT_LOCK: DefaultMap[int, ContractLock] = DefaultMap(PALLET, "ContractLock")
EXTRA_FEE: DefaultMap[int, int] = DefaultMap(PALLET, "DedicatedNodesExtraFee")
SOLUTION_PROVIDERS: OptionalMap[int, SolutionProvider] = OptionalMap(PALLET, "SolutionProviders")
SERVICE_CONTRACTS: OptionalMap[int, ServiceContract] = OptionalMap(PALLET, "ServiceContracts")
SERVICE_CONTRACT_ID: DefaultValue[int] = DefaultValue(PALLET, "ServiceContractID")
SOLUTION_PROVIDER_ID: DefaultValue[int] = DefaultValue(PALLET, "SolutionProviderID")


def error(name: str) -> ModuleFailure:
    """An error that SmartContractModule declares."""
    return ModuleFailure(PALLET, name)


def caller_twin(ctx: Context) -> int:
    """The twin of the signer; raises TwinNotExists of this pallet."""
    twin = TWIN_BY_ACCOUNT.get(ctx, ctx.signer())
    if twin is None:
        raise error("TwinNotExists")
    return twin


def contract(ctx: Context, contract_id: int) -> Contract:
    found = CONTRACTS.get(ctx, contract_id)
    if found is None:
        raise error("ContractNotExists")
    return found


def node(ctx: Context, node_id: int) -> Node:
    found = NODES.get(ctx, node_id)
    if found is None:
        raise error("NodeNotExists")
    return found


def farm(ctx: Context, farm_id: int) -> Farm:
    found = FARMS.get(ctx, farm_id)
    if found is None:
        raise error("FarmNotExists")
    return found


def approved_provider(ctx: Context, provider_id: int | None) -> None:
    """Pass for none and for one that the council approved."""
    if provider_id is None:
        return
    provider = SOLUTION_PROVIDERS.get(ctx, provider_id)
    if provider is None:
        raise error("NoSuchSolutionProvider")
    if not provider.approved:
        raise error("SolutionProviderNotApproved")
