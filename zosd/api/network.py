"""`zos.network.*`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import rmb
from gridtypes import ResultState
from gridtypes.workloads import Network, NetworkLight, ZMachine, ZMachineLight
from zosd.api.deployments import field
from zosd.api.table import Handler
from zosd.chainlife.notes import PUBLIC_CONFIG
from zosd.journal.journal import Journal
from zosd.journal.records import Phase, WorkloadRecord
from zosd.machine import LAN, Machine


class Networks:
    def __init__(self, journal: Journal, machine: Machine, light: bool = False) -> None:
        self._journal = journal
        self._machine = machine
        self._light = light

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "network.list_wg_ports": self.list_wg_ports,
            "network.public_config_get": self.public_config_get,
            "network.interfaces": self.interfaces,
            "network.has_ipv6": self.has_ipv6,
            "network.list_public_ips": self.list_public_ips,
            "network.list_private_ips": self.list_private_ips,
        }

    async def list_wg_ports(self, request: rmb.Request) -> list[int]:
        """Ports of networks that are here or promised, and the node's own (decision 35)."""
        taken = set(self._machine.reserved_ports)
        for workload in self._promised():
            for version in (workload.definition, workload.newer):
                data = version.load() if version is not None and version.type.sharable else None
                if isinstance(data, Network | NetworkLight) and data.wireguard_listen_port:
                    taken.add(data.wireguard_listen_port)
        return sorted(taken)

    async def public_config_get(self, request: rmb.Request) -> dict[str, Any]:
        note = self._journal.ledger.note(PUBLIC_CONFIG)
        config = json.loads(note) if note else None
        if not isinstance(config, dict):
            problem = "no public configuration"
            raise rmb.HandlerError(f"failed to load public config: {problem}" if self._light else problem)
        return {**config, "type": "macvlan"} if self._light else config

    async def interfaces(self, request: rmb.Request) -> Mapping[str, Sequence[str]]:
        """A light node shows its own alone."""
        found = await self._machine.addresses()
        return {LAN: found.get(LAN, [])} if self._light else found

    async def has_ipv6(self, request: rmb.Request) -> bool:
        return not self._light and await self._machine.has_ipv6()

    async def list_public_ips(self, request: rmb.Request) -> list[str]:
        """IPv4 addresses of all twins' `ip` workloads that are `ok`."""
        found = []
        for workload in self._promised():
            if workload.definition.type.value in ("ip", "ipv4") and workload.result.state is ResultState.OK:
                data = json.loads(bytes(workload.result.data) or b"null")
                if isinstance(data, dict) and data.get("ip"):
                    found.append(str(data["ip"]))
        return sorted(found)

    async def list_private_ips(self, request: rmb.Request) -> list[str]:
        """Addresses of the caller's machines in one of his networks."""
        name = field(request.json(), "network_name")
        found = []
        for record in self._journal.ledger.of_twin(request.source):
            for workload in record.workloads:
                data = workload.definition.load()
                if workload.result.state is ResultState.ERROR:
                    continue
                if isinstance(data, ZMachine | ZMachineLight):
                    found += [str(one.ip) for one in data.network.interfaces if one.network == name]
        return found

    def _promised(self) -> Iterator[WorkloadRecord]:
        for record in self._journal.ledger.all():
            if record.phase is not Phase.REFUSED:
                yield from record.workloads
