"""Nodes: registration, reports, public configuration, power, removal."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import BadOrigin, Pays
from tfchain.devchain.pallets.contracts.node_removal import end_contracts, has_contracts, node_came_up
from tfchain.devchain.pallets.tfgrid import farming, validation
from tfchain.devchain.pallets.tfgrid.store import (
    CERTIFIERS,
    CONNECTION_PRICE,
    NODE_BY_TWIN,
    NODE_ID,
    NODE_POWER,
    NODES,
    NODES_OF_FARM,
    PALLET,
    caller_twin,
    error,
    farm,
    node,
)
from tfchain.devchain.records import Interface, Location, Node, PublicConfig, Resources, Tagged
from tfchain.devchain.storage import next_id

NODE_VERSION = 5
LARGEST_HINT_DRIFT = 60
"""Seconds by which a reporter's clock may differ from the chain's."""


def create_node(
    ctx: Context,
    farm_id: int,
    resources: Resources,
    location: Location,
    interfaces: list[Interface],
    secure_boot: bool,
    virtualized: bool,
    serial_number: bytes | None,
) -> None:
    ctx.signer()
    home = farm(ctx, farm_id)
    twin = caller_twin(ctx)
    if NODE_BY_TWIN.has(ctx, twin):
        raise error("NodeWithTwinIdExists")
    _validate(resources, location, interfaces)
    made = Node(
        NODE_VERSION,
        next_id(ctx, NODE_ID),
        farm_id,
        twin,
        resources,
        location,
        None,
        ctx.block.time,
        farming.policy_for(ctx, home, "Diy", resources),
        interfaces,
        "Diy",
        secure_boot,
        virtualized,
        serial_number,
        CONNECTION_PRICE.get(ctx),
    )
    NODES.put(ctx, made.id, made)
    NODE_BY_TWIN.put(ctx, twin, made.id)
    NODES_OF_FARM.put(ctx, farm_id, [*NODES_OF_FARM.get(ctx, farm_id), made.id])
    ctx.deposit(PALLET, "NodeStored", made)


def update_node(
    ctx: Context,
    node_id: int,
    farm_id: int,
    resources: Resources,
    location: Location,
    interfaces: list[Interface],
    secure_boot: bool,
    virtualized: bool,
    serial_number: bytes | None,
) -> Pays:
    """Replace what a node says about itself; a certified node whose capacity moves loses its certificate."""
    ctx.signer()
    before = node(ctx, node_id)
    if caller_twin(ctx) != before.twin_id:
        raise error("NodeUpdateNotAuthorized")
    farm(ctx, farm_id)
    _validate(resources, location, interfaces)
    certification = before.certification
    if certification != "Diy" and _moved(before.resources, resources):
        certification = "Diy"
        ctx.deposit(PALLET, "NodeCertificationSet", (node_id, certification))
    if farm_id != before.farm_id:
        _leave_farm(ctx, before)
        NODES_OF_FARM.put(ctx, farm_id, [*NODES_OF_FARM.get(ctx, farm_id), node_id])
    changed = replace(
        before,
        farm_id=farm_id,
        resources=resources,
        location=location,
        interfaces=interfaces,
        secure_boot=secure_boot,
        virtualized=virtualized,
        serial_number=serial_number,
        certification=certification,
    )
    NODES.put(ctx, node_id, changed)
    ctx.deposit(PALLET, "NodeUpdated", changed)
    return Pays.NO


def report_uptime(ctx: Context, uptime: int) -> Pays:
    reporter = _caller_node(ctx)
    ctx.deposit(PALLET, "NodeUptimeReported", (reporter.id, ctx.block.time, uptime))
    return Pays.NO


def report_uptime_v2(ctx: Context, uptime: int, timestamp_hint: int) -> Pays:
    """As `report_uptime`, refused when the report was made more than a minute away from now."""
    reporter = _caller_node(ctx)
    if abs(ctx.block.time - timestamp_hint) > LARGEST_HINT_DRIFT:
        raise error("InvalidTimestampHint")
    ctx.deposit(PALLET, "NodeUptimeReported", (reporter.id, ctx.block.time, uptime))
    return Pays.NO


def add_node_public_config(
    ctx: Context, farm_id: int, node_id: int, public_config: PublicConfig | None
) -> None:
    """Set or, with None, remove what a node has on the public network; the farmer's right, not the node's."""
    ctx.signer()
    home = farm(ctx, farm_id)
    if caller_twin(ctx) != home.twin_id:
        raise error("CannotUpdateFarmWrongTwin")
    before = node(ctx, node_id)
    if before.farm_id != farm_id:
        raise error("NodeUpdateNotAuthorized")
    if public_config is not None:
        validation.public_config(public_config)
    NODES.put(ctx, node_id, replace(before, public_config=public_config))
    ctx.deposit(PALLET, "NodePublicConfigStored", (node_id, public_config))


def change_power_state(ctx: Context, power_state: str) -> Pays:
    """What the node says about itself; going down carries the block number, so it is always news."""
    reporter = _caller_node(ctx)
    before = NODE_POWER.get(ctx, reporter.id)
    state: Tagged = "Up" if power_state == "Up" else {"Down": ctx.block.number}
    if state != before.state:
        NODE_POWER.put(ctx, reporter.id, replace(before, state=state))
        ctx.deposit(
            PALLET,
            "PowerStateChanged",
            {"farm_id": reporter.farm_id, "node_id": reporter.id, "power_state": state},
        )
        if state == "Up":
            node_came_up(ctx, reporter.id)
    return Pays.NO


def change_power_target(ctx: Context, node_id: int, power_target: str) -> None:
    """What the farmer wants; a node that serves contracts is not told to go down."""
    twin = caller_twin(ctx)
    target = node(ctx, node_id)
    if farm(ctx, target.farm_id).twin_id != twin:
        raise error("UnauthorizedToChangePowerTarget")
    if power_target == "Down" and has_contracts(ctx, node_id):
        raise error("NodeHasActiveContracts")
    NODE_POWER.put(ctx, node_id, replace(NODE_POWER.get(ctx, node_id), target=power_target))
    ctx.deposit(
        PALLET,
        "PowerTargetChanged",
        {"farm_id": target.farm_id, "node_id": node_id, "power_target": power_target},
    )


def delete_node(ctx: Context, node_id: int) -> None:
    """By the node itself.  Its twin stays marked as having had a node and can never make another."""
    ctx.signer()
    leaving = node(ctx, node_id)
    if caller_twin(ctx) != leaving.twin_id:
        raise error("NodeUpdateNotAuthorized")
    _remove(ctx, leaving)


def delete_node_farm(ctx: Context, node_id: int) -> None:
    """By the farmer; the node's twin may make a node again."""
    twin = caller_twin(ctx)
    leaving = node(ctx, node_id)
    if farm(ctx, leaving.farm_id).twin_id != twin:
        raise error("FarmerNotAuthorized")
    NODE_BY_TWIN.delete(ctx, leaving.twin_id)
    _remove(ctx, leaving)


def set_node_certification(ctx: Context, node_id: int, node_certification: str) -> None:
    try:
        ctx.require_root_or_council()
    except BadOrigin as refusal:
        if ctx.signer() not in (CERTIFIERS.get(ctx) or []):
            raise error("NotAllowedToCertifyNode") from refusal
    changed = replace(node(ctx, node_id), certification=node_certification)
    NODES.put(ctx, node_id, changed)
    ctx.deposit(PALLET, "NodeUpdated", changed)
    ctx.deposit(PALLET, "NodeCertificationSet", (node_id, node_certification))


def _validate(resources: Resources, location: Location, interfaces: list[Interface]) -> None:
    validation.resources(resources)
    validation.location(location)
    for interface in interfaces:
        validation.interface(interface)


def _caller_node(ctx: Context) -> Node:
    return node(ctx, NODE_BY_TWIN.get(ctx, caller_twin(ctx)))


def _moved(before: Resources, after: Resources) -> bool:
    """Whether any resource changed by more than one per cent."""
    pairs = (
        (before.hru, after.hru),
        (before.sru, after.sru),
        (before.cru, after.cru),
        (before.mru, after.mru),
    )
    return any(abs(old - new) * 100 > old for old, new in pairs if old != new)


def _leave_farm(ctx: Context, leaving: Node) -> None:
    kept = [other for other in NODES_OF_FARM.get(ctx, leaving.farm_id) if other != leaving.id]
    NODES_OF_FARM.put(ctx, leaving.farm_id, kept)


def _remove(ctx: Context, leaving: Node) -> None:
    end_contracts(ctx, leaving.id)
    _leave_farm(ctx, leaving)
    NODES.delete(ctx, leaving.id)
    ctx.deposit(PALLET, "NodeDeleted", leaving.id)


CALLS: dict[str, Handler] = {
    "create_node": create_node,
    "update_node": update_node,
    "report_uptime": report_uptime,
    "report_uptime_v2": report_uptime_v2,
    "add_node_public_config": add_node_public_config,
    "change_power_state": change_power_state,
    "change_power_target": change_power_target,
    "delete_node": delete_node,
    "delete_node_farm": delete_node_farm,
    "set_node_certification": set_node_certification,
}
