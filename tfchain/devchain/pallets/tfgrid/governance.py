"""What root and the council decide: policies, prices, certifiers, the version of the node's system."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.tfgrid.store import (
    CERTIFIERS,
    CONNECTION_PRICE,
    FARMING,
    FARMING_ID,
    FARMS,
    NODES,
    NODES_OF_FARM,
    PALLET,
    PALLET_VERSION,
    PRICING,
    PRICING_BY_NAME,
    PRICING_ID,
    ZOS_VERSION,
    error,
    farm,
)
from tfchain.devchain.records import FarmingPolicy, FarmingPolicyLimit, Policy, PricingPolicy
from tfchain.devchain.storage import next_id

POLICY_VERSION = 1


def create_pricing_policy(
    ctx: Context,
    name: bytes,
    su: Policy,
    cu: Policy,
    nu: Policy,
    ipu: Policy,
    unique_name: Policy,
    domain_name: Policy,
    foundation_account: bytes,
    certified_sales_account: bytes,
    discount_for_dedication_nodes: int,
) -> None:
    ctx.require_root_or_council()
    if PRICING_BY_NAME.has(ctx, name):
        raise error("PricingPolicyExists")
    _store_pricing(
        ctx,
        PricingPolicy(
            POLICY_VERSION,
            next_id(ctx, PRICING_ID),
            name,
            su,
            cu,
            nu,
            ipu,
            unique_name,
            domain_name,
            foundation_account,
            certified_sales_account,
            discount_for_dedication_nodes,
        ),
    )


def update_pricing_policy(
    ctx: Context,
    pricing_policy_id: int,
    name: bytes,
    su: Policy,
    cu: Policy,
    nu: Policy,
    ipu: Policy,
    unique_name: Policy,
    domain_name: Policy,
    foundation_account: bytes,
    certified_sales_account: bytes,
    discount_for_dedication_nodes: int,
) -> None:
    ctx.require_root_or_council()
    before = PRICING.get(ctx, pricing_policy_id)
    if before is None:
        raise error("PricingPolicyNotExists")
    if PRICING_BY_NAME.get(ctx, name) not in (0, pricing_policy_id):
        raise error("PricingPolicyWithDifferentIdExists")
    if name != before.name:
        PRICING_BY_NAME.delete(ctx, before.name)
    _store_pricing(
        ctx,
        PricingPolicy(
            POLICY_VERSION,
            pricing_policy_id,
            name,
            su,
            cu,
            nu,
            ipu,
            unique_name,
            domain_name,
            foundation_account,
            certified_sales_account,
            discount_for_dedication_nodes,
        ),
    )


def create_farming_policy(
    ctx: Context,
    name: bytes,
    su: int,
    cu: int,
    nu: int,
    ipv4: int,
    minimal_uptime: int,
    policy_end: int,
    immutable: bool,
    default: bool,
    node_certification: str,
    farm_certification: str,
) -> None:
    ctx.require_root_or_council()
    policy_id = next_id(ctx, FARMING_ID)
    made = FarmingPolicy(
        POLICY_VERSION,
        policy_id,
        name,
        cu,
        su,
        nu,
        ipv4,
        minimal_uptime,
        ctx.block.number,
        policy_end,
        immutable,
        default,
        node_certification,
        farm_certification,
    )
    FARMING.put(ctx, policy_id, made)
    ctx.deposit(PALLET, "FarmingPolicyStored", made)


def update_farming_policy(
    ctx: Context,
    farming_policy_id: int,
    name: bytes,
    su: int,
    cu: int,
    nu: int,
    ipv4: int,
    minimal_uptime: int,
    policy_end: int,
    default: bool,
    node_certification: str,
    farm_certification: str,
) -> None:
    ctx.require_root_or_council()
    if not FARMING.has(ctx, farming_policy_id):
        raise error("FarmingPolicyNotExists")
    changed = replace(
        FARMING.get(ctx, farming_policy_id),
        name=name,
        su=su,
        cu=cu,
        nu=nu,
        ipv4=ipv4,
        minimal_uptime=minimal_uptime,
        policy_end=policy_end,
        default=default,
        node_certification=node_certification,
        farm_certification=farm_certification,
    )
    FARMING.put(ctx, farming_policy_id, changed)
    ctx.deposit(PALLET, "FarmingPolicyUpdated", changed)


def attach_policy_to_farm(ctx: Context, farm_id: int, limits: FarmingPolicyLimit | None) -> None:
    """Give a farm a policy of its own, within limits; its nodes change over."""
    ctx.require_root_or_council()
    if limits is not None:
        policy = FARMING.get(ctx, limits.farming_policy_id)
        end = policy.policy_created + policy.policy_end
        if policy.policy_end and ctx.block.number >= end:
            raise error("FarmingPolicyExpired")
    changed = replace(farm(ctx, farm_id), farming_policy_limits=limits)
    FARMS.put(ctx, farm_id, changed)
    ctx.deposit(PALLET, "FarmUpdated", changed)
    if limits is not None:
        for node_id in NODES_OF_FARM.get(ctx, farm_id):
            node = NODES.get(ctx, node_id)
            if node is not None:
                moved = replace(node, farming_policy_id=limits.farming_policy_id)
                NODES.put(ctx, node_id, moved)
                ctx.deposit(PALLET, "NodeUpdated", moved)
    ctx.deposit(PALLET, "FarmingPolicySet", (farm_id, limits))


def set_storage_version(ctx: Context, version: str) -> None:
    """Say how the pallet's storage is written; nothing is converted."""
    ctx.require_root_or_council()
    PALLET_VERSION.put(ctx, version)


def set_connection_price(ctx: Context, price: int) -> None:
    ctx.require_root_or_council()
    CONNECTION_PRICE.put(ctx, price)
    ctx.deposit(PALLET, "ConnectionPriceSet", price)


def add_node_certifier(ctx: Context, certifier: bytes) -> None:
    ctx.require_root_or_council()
    before = CERTIFIERS.get(ctx) or []
    if certifier in before:
        raise error("AlreadyCertifier")
    CERTIFIERS.put(ctx, sorted([*before, certifier]))
    ctx.deposit(PALLET, "NodeCertifierAdded", certifier)


def remove_node_certifier(ctx: Context, certifier: bytes) -> None:
    ctx.require_root_or_council()
    before = CERTIFIERS.get(ctx) or []
    if certifier not in before:
        raise error("NotCertifier")
    CERTIFIERS.put(ctx, [other for other in before if other != certifier])
    ctx.deposit(PALLET, "NodeCertifierRemoved", certifier)


def set_zos_version(ctx: Context, zos_version: bytes) -> None:
    ctx.require_root_or_council()
    if ZOS_VERSION.get(ctx) == zos_version:
        raise error("InvalidZosVersion")
    ZOS_VERSION.put(ctx, zos_version)
    ctx.deposit(PALLET, "ZosVersionUpdated", zos_version)


def _store_pricing(ctx: Context, policy: PricingPolicy) -> None:
    PRICING.put(ctx, policy.id, policy)
    PRICING_BY_NAME.put(ctx, policy.name, policy.id)
    ctx.deposit(PALLET, "PricingPolicyStored", policy)


CALLS: dict[str, Handler] = {
    "set_storage_version": set_storage_version,
    "create_pricing_policy": create_pricing_policy,
    "update_pricing_policy": update_pricing_policy,
    "create_farming_policy": create_farming_policy,
    "update_farming_policy": update_farming_policy,
    "attach_policy_to_farm": attach_policy_to_farm,
    "set_connection_price": set_connection_price,
    "add_node_certifier": add_node_certifier,
    "remove_node_certifier": remove_node_certifier,
    "set_zos_version": set_zos_version,
}
