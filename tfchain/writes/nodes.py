"""Nodes: their registration, their power, what they and their farmer say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridtypes.ids import FarmId, NodeId
from tfchain.keys import Identity
from tfchain.models import Interface, Location, PublicConfig, Resources
from tfchain.reads import CONTRACTS, TFGRID
from tfchain.runtime import Call
from tfchain.writes.submitting import Submitting, optional, stored


class NodeWrites(Submitting):
    async def create_node(
        self,
        key: Identity,
        *,
        farm: FarmId,
        resources: Resources,
        location: Location,
        interfaces: Sequence[Interface],
        secure_boot: bool = False,
        virtualized: bool = False,
        serial_number: str | None = None,
    ) -> NodeId:
        """Register the account's twin as a node."""
        arguments = _node(farm, resources, location, interfaces, secure_boot, virtualized, serial_number)
        receipt = await self.submit(key, TFGRID, "create_node", arguments)
        return NodeId(stored(receipt, TFGRID, "NodeStored")["id"])

    async def update_node(
        self,
        key: Identity,
        node: NodeId,
        *,
        farm: FarmId,
        resources: Resources,
        location: Location,
        interfaces: Sequence[Interface],
        secure_boot: bool = False,
        virtualized: bool = False,
        serial_number: str | None = None,
    ) -> None:
        fields = _node(farm, resources, location, interfaces, secure_boot, virtualized, serial_number)
        await self.submit(key, TFGRID, "update_node", {"node_id": node, **fields})

    async def set_node_public_config(
        self, key: Identity, farm: FarmId, node: NodeId, config: PublicConfig | None
    ) -> None:
        """Set or, with None, take away a node's public configuration; `key` is the farmer's."""
        value = None if config is None else config.to_value()
        arguments = {"farm_id": farm, "node_id": node, "public_config": value}
        await self.submit(key, TFGRID, "add_node_public_config", arguments)

    async def report_uptime(self, key: Identity, uptime: int, timestamp_hint: int) -> None:
        """Seconds since boot, and the node's clock in Unix seconds."""
        arguments = {"uptime": uptime, "timestamp_hint": timestamp_hint}
        await self.submit(key, TFGRID, "report_uptime_v2", arguments)

    async def set_node_power_state(self, key: Identity, is_up: bool) -> None:
        """The node's own word about its power."""
        await self.submit(key, TFGRID, "change_power_state", {"power_state": _power(is_up)})

    async def set_node_power_target(self, key: Identity, node: NodeId, is_up: bool) -> None:
        """The farmer's wish."""
        arguments = {"node_id": node, "power_target": _power(is_up)}
        await self.submit(key, TFGRID, "change_power_target", arguments)

    async def delete_node(self, key: Identity, node: NodeId) -> None:
        """Take a node off the grid by its own key; its contracts are billed and end."""
        await self.submit(key, TFGRID, "delete_node", {"node_id": node})

    async def delete_farm_node(self, key: Identity, node: NodeId) -> None:
        """Take a node off the grid by its farmer's key; its contracts are billed and end."""
        await self.submit(key, TFGRID, "delete_node_farm", {"node_id": node})

    async def set_node_certification(self, key: Identity, node: NodeId, certification: str) -> None:
        """`Diy` or `Certified`; the key is that of an allowed certifier."""
        await self.submit_call(key, node_certification(node, certification))

    async def set_node_extra_fee(self, key: Identity, node: NodeId, fee: int) -> None:
        """What a farmer wants for the whole node beside the resources, in mUSD a month; 0 for nothing."""
        arguments = {"node_id": node, "extra_fee": fee}
        await self.submit(key, CONTRACTS, "set_dedicated_node_extra_fee", arguments)


def node_certification(node: NodeId, certification: str) -> Call:
    """The call that says how a node is certified, for a certifier or for the council."""
    return Call(TFGRID, "set_node_certification", {"node_id": node, "node_certification": certification})


def _node(
    farm: FarmId,
    resources: Resources,
    location: Location,
    interfaces: Sequence[Interface],
    secure_boot: bool,
    virtualized: bool,
    serial_number: str | None,
) -> dict[str, Any]:
    return {
        "farm_id": farm,
        "resources": resources.to_value(),
        "location": location.to_value(),
        "interfaces": [interface.to_value() for interface in interfaces],
        "secure_boot": secure_boot,
        "virtualized": virtualized,
        "serial_number": optional(serial_number),
    }


def _power(is_up: bool) -> str:
    return "Up" if is_up else "Down"
