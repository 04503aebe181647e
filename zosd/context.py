"""What provisioners may ask of this node: the one way from one workload type to another."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import cast

from gridtypes import ContractId, TwinId, WorkloadId, WorkloadType
from provisioners.protocol import (
    Disk,
    DiskSource,
    Images,
    NetworkSource,
    NicSource,
    NodeFacts,
    NodePaths,
    OwnerFile,
    PrivateNetwork,
    Provisioner,
    PublicIpSource,
    ReservedIp,
    RootVolume,
    RootVolumes,
    WorkloadError,
    owned_ids,
)
from tfchain import ChainUnavailable
from zosd.journal.journal import Journal

ReservedAddresses = Callable[[ContractId], Awaitable[Sequence[ReservedIp] | None]]
"""The addresses that a contract holds on the chain; None when there is no such contract."""


class NodeContext:
    """One for the whole node.  Sources are found among the provisioners, by what they can answer."""

    def __init__(
        self,
        paths: NodePaths,
        node: NodeFacts,
        provisioners: Mapping[WorkloadType, Provisioner],
        roots: RootVolumes,
        images: Images,
        reserved: ReservedAddresses,
        journal: Journal,
    ) -> None:
        self.paths = paths
        self.node = node
        self.roots = roots
        self.images = images
        self._provisioners = provisioners
        self._reserved = reserved
        self._journal = journal

    def set_node(self, node: NodeFacts) -> None:
        """The node was registered, or its ids became known."""
        self.node = node

    def owner_file(self, workload: WorkloadId, type: WorkloadType) -> OwnerFile:
        return OwnerFile(self.paths.owners(type) / f"{workload}.json")

    def owned(self, type: WorkloadType) -> set[WorkloadId]:
        return owned_ids(self.paths.owners(type))

    async def network(self, twin: TwinId, name: str) -> PrivateNetwork:
        source = cast(NetworkSource, self._source("private_network", "private networks"))
        return await source.private_network(self, twin, name)

    async def planetary(self) -> NicSource:
        source = cast(NetworkSource, self._source("planetary", "the planetary network"))
        return await source.planetary(self)

    async def public_ip(self, ip_workload: WorkloadId) -> NicSource:
        source = cast(PublicIpSource, self._source("public_ip", "public addresses"))
        return await source.public_ip(self, ip_workload)

    async def disk(self, zmount: WorkloadId) -> Disk:
        source = cast(DiskSource, self._source("disk", "disks"))
        return await source.disk(self, zmount)

    async def reserved_ips(self, contract: ContractId) -> Sequence[ReservedIp]:
        """The contract's addresses; while the chain is away, as they were seen last."""
        note = f"reserved:{contract}"
        try:
            found = await self._reserved(contract)
        except ChainUnavailable as error:
            known = self._journal.ledger.note(note)
            if known is None:
                raise WorkloadError(
                    f"the addresses of contract {contract} cannot be read from the chain: {error}"
                ) from error
            return _decoded(known)
        if found is None:
            raise WorkloadError(f"contract {contract} is not on the chain")
        await self._journal.put_note(note, _encoded(found))
        return found

    def _source(self, question: str, about: str) -> object:
        for provisioner in self._provisioners.values():
            if hasattr(provisioner, question):
                return provisioner
        raise WorkloadError(f"this node has nobody who knows about {about}")


class NoRoots:
    """For nodes without real machines."""

    async def ensure(self, guest: WorkloadId, size: int) -> RootVolume:
        raise WorkloadError("this node has no root volumes: it runs with null provisioners")

    async def commit(self, guest: WorkloadId) -> None:
        raise WorkloadError("this node has no root volumes: it runs with null provisioners")

    async def delete(self, guest: WorkloadId) -> None:
        """Nothing is there."""


class NoImages:
    async def fetch(self, url: str) -> Path:
        raise WorkloadError("this node fetches no images: it runs with null provisioners")

    async def unpack(self, archive: Path, target: Path) -> None:
        raise WorkloadError("this node unpacks no images: it runs with null provisioners")


def _encoded(addresses: Sequence[ReservedIp]) -> bytes:
    return json.dumps([[str(one.address), str(one.gateway)] for one in addresses]).encode()


def _decoded(note: bytes) -> list[ReservedIp]:
    return [ReservedIp(IPv4Interface(address), IPv4Address(gateway)) for address, gateway in json.loads(note)]
