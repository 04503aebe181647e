"""Which farming policy a new node gets."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.context import Context
from tfchain.devchain.pallets.tfgrid.store import FARMING, FARMING_ID, FARMS, error
from tfchain.devchain.records import Farm, FarmingPolicy, FarmingPolicyLimit, Resources

NODE_RANK = {"Diy": 0, "Certified": 1}
FARM_RANK = {"NotCertified": 0, "Gold": 1}
GIB = 1 << 30


def policy_for(ctx: Context, farm: Farm, certification: str, resources: Resources) -> int:
    """The policy of the farm's limits while they last, else the best that both certifications allow.

    A node that fits the limits uses them up.  Raises FarmingPolicyNotExists.
    """
    limits = farm.farming_policy_limits
    if limits is not None and _fits(ctx, limits, certification, resources):
        FARMS.put(ctx, farm.id, replace(farm, farming_policy_limits=_used_up(limits, resources)))
        return limits.farming_policy_id
    candidates = [
        policy
        for policy_id in range(1, FARMING_ID.get(ctx) + 1)
        if FARMING.has(ctx, policy_id)
        and _allowed(policy := FARMING.get(ctx, policy_id), farm, certification)
    ]
    if not candidates:
        raise error("FarmingPolicyNotExists")
    return max(candidates, key=_preference).id


def _allowed(policy: FarmingPolicy, farm: Farm, certification: str) -> bool:
    return (
        NODE_RANK[policy.node_certification] <= NODE_RANK[certification]
        and FARM_RANK[policy.farm_certification] <= FARM_RANK[farm.certification]
    )


def _preference(policy: FarmingPolicy) -> tuple[bool, int, int, int]:
    return (
        policy.default,
        NODE_RANK[policy.node_certification],
        FARM_RANK[policy.farm_certification],
        policy.id,
    )


def _fits(ctx: Context, limits: FarmingPolicyLimit, certification: str, resources: Resources) -> bool:
    return (
        (limits.end is None or ctx.block.time <= limits.end)
        and (limits.cu is None or limits.cu >= compute_units(resources))
        and (limits.su is None or limits.su >= storage_units(resources))
        and (limits.node_count is None or limits.node_count > 0)
        and (not limits.node_certification or certification == "Certified")
    )


def _used_up(limits: FarmingPolicyLimit, resources: Resources) -> FarmingPolicyLimit:
    return replace(
        limits,
        cu=None if limits.cu is None else limits.cu - compute_units(resources),
        su=None if limits.su is None else limits.su - storage_units(resources),
        node_count=None if limits.node_count is None else limits.node_count - 1,
    )


def compute_units(resources: Resources) -> int:
    """Whole compute units: cores and memory in the best of three proportions."""
    mru, cru = resources.mru / GIB, float(resources.cru)
    return round(min(max(mru / 4, cru / 2), max(mru / 8, cru), max(mru / 2, cru / 4)))


def storage_units(resources: Resources) -> int:
    return round(resources.hru / GIB / 1200 + resources.sru / GIB / 200)
