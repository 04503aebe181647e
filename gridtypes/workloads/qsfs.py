"""Quantum safe file systems: `qsfs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gridtypes.capacity import GIB, Capacity
from gridtypes.errors import InvalidDeployment
from gridtypes.kinds import HEX, TEXT, U32, U64, ListOf
from gridtypes.record import NestedRecord, Record, member, record
from gridtypes.workloads.data import Siblings, WorkloadData


@record
class Encryption(Record):
    algorithm: str = member(TEXT)
    key: bytes = member(HEX)


@record
class ZdbBackend(Record):
    address: str = member(TEXT)
    namespace: str = member(TEXT)
    password: str = member(TEXT)


@record
class ZdbGroup(Record):
    backends: Sequence[ZdbBackend] = member(ListOf(NestedRecord(ZdbBackend)))


@record
class MetaConfig(Record):
    prefix: str = member(TEXT)
    encryption: Encryption = member(NestedRecord(Encryption))
    backends: Sequence[ZdbBackend] = member(ListOf(NestedRecord(ZdbBackend)))


@record
class Meta(Record):
    type: str = member(TEXT)
    config: MetaConfig = member(NestedRecord(MetaConfig))


@record
class Compression(Record):
    algorithm: str = member(TEXT)


@record
class QSFSConfig(Record):
    minimal_shards: int = member(U32)
    expected_shards: int = member(U32)
    redundant_groups: int = member(U32)
    redundant_nodes: int = member(U32)
    max_zdb_data_dir_size: int = member(U32)
    encryption: Encryption = member(NestedRecord(Encryption))
    meta: Meta = member(NestedRecord(Meta))
    groups: Sequence[ZdbGroup] = member(ListOf(NestedRecord(ZdbGroup)))
    compression: Compression = member(NestedRecord(Compression))


@record
class QSFS(WorkloadData):
    """A file system whose content is spread over many key-value stores."""

    GO_TYPE: ClassVar = "QuantumSafeFS"

    cache: int = member(U64)
    """Bytes."""
    config: QSFSConfig = member(NestedRecord(QSFSConfig))

    def check(self, siblings: Siblings) -> None:
        if self.config.minimal_shards > self.config.expected_shards:
            raise InvalidDeployment("minimal shards can't be greater than expected shards")

    def capacity(self) -> Capacity:
        return Capacity(cru=1, mru=GIB, sru=self.cache)
