"""What the accept path asks about this node."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address

from gridtypes import NodeId, WorkloadType
from provisioners.protocol import PlacedWorkload, Provisioner
from zosd.capacity import MachineFacts
from zosd.chainlife.registered import Registered
from zosd.machine import Machine


class ThisNode:
    """Implements `zosd.accept.acceptor.NodeNow`."""

    def __init__(
        self, machine: Machine, provisioners: Mapping[WorkloadType, Provisioner], registered: Registered
    ) -> None:
        self._machine = machine
        self._provisioners = provisioners
        self._registered = registered
        self._addresses: Collection[IPv4Address | IPv6Address] = ()

    async def refresh(self) -> None:
        """Look at the node's own addresses again."""
        self._addresses = await self._machine.own_addresses()

    async def machine(self) -> MachineFacts:
        return await self._machine.facts()

    def node_id(self) -> NodeId:
        return self._registered.node_id()

    def own_addresses(self) -> Collection[IPv4Address | IPv6Address]:
        return self._addresses

    def supported(self) -> Collection[WorkloadType]:
        return self._provisioners.keys()

    def updatable(self, type: WorkloadType) -> bool:
        return hasattr(self._provisioners.get(type), "update")

    def validate(self, workload: PlacedWorkload) -> None:
        validate = getattr(self._provisioners.get(workload.type), "validate", None)
        if validate is not None:
            validate(workload)
