"""Storage of TfgridModule, its errors, and the look-ups that many calls share."""

from __future__ import annotations

from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.records import (
    Entity,
    Farm,
    FarmingPolicy,
    Node,
    NodePower,
    PricingPolicy,
    TermsAndConditions,
    Twin,
)
from tfchain.devchain.storage import DefaultMap, DefaultValue, OptionalMap, OptionalValue

PALLET = "TfgridModule"

TERMS: OptionalMap[bytes, list[TermsAndConditions]] = OptionalMap(PALLET, "UsersTermsAndConditions")
TWINS: OptionalMap[int, Twin] = OptionalMap(PALLET, "Twins")
TWIN_BY_ACCOUNT: OptionalMap[bytes, int] = OptionalMap(PALLET, "TwinIdByAccountID")
BOUNDED_ACCOUNT: OptionalMap[int, bytes] = OptionalMap(PALLET, "TwinBoundedAccountID")
TWIN_ID: DefaultValue[int] = DefaultValue(PALLET, "TwinID")

ENTITIES: OptionalMap[int, Entity] = OptionalMap(PALLET, "Entities")
ENTITY_BY_ACCOUNT: OptionalMap[bytes, int] = OptionalMap(PALLET, "EntityIdByAccountID")
ENTITY_BY_NAME: DefaultMap[bytes, int] = DefaultMap(PALLET, "EntityIdByName")
ENTITY_ID: DefaultValue[int] = DefaultValue(PALLET, "EntityID")

FARMS: OptionalMap[int, Farm] = OptionalMap(PALLET, "Farms")
FARM_BY_NAME: DefaultMap[bytes, int] = DefaultMap(PALLET, "FarmIdByName")
FARM_PAYOUT: DefaultMap[int, bytes] = DefaultMap(PALLET, "FarmPayoutV2AddressByFarmID")
FARM_ID: DefaultValue[int] = DefaultValue(PALLET, "FarmID")

NODES: OptionalMap[int, Node] = OptionalMap(PALLET, "Nodes")
NODES_OF_FARM: DefaultMap[int, list[int]] = DefaultMap(PALLET, "NodesByFarmID")
NODE_BY_TWIN: DefaultMap[int, int] = DefaultMap(PALLET, "NodeIdByTwinID")
NODE_POWER: DefaultMap[int, NodePower] = DefaultMap(PALLET, "NodePower")
NODE_ID: DefaultValue[int] = DefaultValue(PALLET, "NodeID")

PRICING: OptionalMap[int, PricingPolicy] = OptionalMap(PALLET, "PricingPolicies")
PRICING_BY_NAME: DefaultMap[bytes, int] = DefaultMap(PALLET, "PricingPolicyIdByName")
PRICING_ID: DefaultValue[int] = DefaultValue(PALLET, "PricingPolicyID")
FARMING: DefaultMap[int, FarmingPolicy] = DefaultMap(PALLET, "FarmingPoliciesMap")
FARMING_ID: DefaultValue[int] = DefaultValue(PALLET, "FarmingPolicyID")

CONNECTION_PRICE: DefaultValue[int] = DefaultValue(PALLET, "ConnectionPrice")
CERTIFIERS: OptionalValue[list[bytes]] = OptionalValue(PALLET, "AllowedNodeCertifiers")
ZOS_VERSION: DefaultValue[bytes] = DefaultValue(PALLET, "ZosVersion")
PALLET_VERSION: DefaultValue[str] = DefaultValue(PALLET, "PalletVersion")


def error(name: str) -> ModuleFailure:
    """An error that TfgridModule declares."""
    return ModuleFailure(PALLET, name)


def caller_twin(ctx: Context) -> int:
    """The twin of the signer; raises TwinNotExists."""
    twin = TWIN_BY_ACCOUNT.get(ctx, ctx.signer())
    if twin is None:
        raise error("TwinNotExists")
    return twin


def farm(ctx: Context, farm_id: int) -> Farm:
    found = FARMS.get(ctx, farm_id)
    if found is None:
        raise error("FarmNotExists")
    return found


def node(ctx: Context, node_id: int) -> Node:
    found = NODES.get(ctx, node_id)
    if found is None:
        raise error("NodeNotExists")
    return found


def own_farm(ctx: Context, farm_id: int, *, farm_first: bool) -> Farm:
    """The farm, if the caller owns it.  Calls differ in whether farm or twin is looked up first."""
    if farm_first:
        found = farm(ctx, farm_id)
        twin = caller_twin(ctx)
    else:
        twin = caller_twin(ctx)
        found = farm(ctx, farm_id)
    if found.twin_id != twin:
        raise error("CannotUpdateFarmWrongTwin")
    return found
