"""Sites: places that hold replicas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from dynamo.dataformat import full_name
from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.filename_mapping import FilenameMapping, filename_mappings
from dynamo.dataformat.sitepartition import SitePartition

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.dataset import Dataset
    from dynamo.dataformat.datasetreplica import DatasetReplica
    from dynamo.dataformat.partition import Partition
    from dynamo.dataformat.repository import Repository

STORAGE_TYPE = Enumeration("storage type", "disk", "mss", "buffer", "unknown")
STATUS = Enumeration("site status", "ready", "waitroom", "morgue", "unknown")


class Site:
    """A place that holds replicas.

    `filename_mapping` holds the chains of every protocol, `partitions` this site's share of every partition.
    """

    __slots__ = (
        "_by_dataset",
        "_name",
        "backend",
        "filename_mapping",
        "host",
        "id",
        "partitions",
        "status",
        "storage_type",
        "x509proxy",
    )

    TYPE_DISK: ClassVar[int] = 1
    TYPE_MSS: ClassVar[int] = 2
    TYPE_BUFFER: ClassVar[int] = 3
    TYPE_UNKNOWN: ClassVar[int] = 4

    STAT_READY: ClassVar[int] = 1
    STAT_WAITROOM: ClassVar[int] = 2
    STAT_MORGUE: ClassVar[int] = 3
    STAT_UNKNOWN: ClassVar[int] = 4

    storage_type_val = staticmethod(STORAGE_TYPE.val)
    storage_type_name = staticmethod(STORAGE_TYPE.name)
    status_val = staticmethod(STATUS.val)
    status_name = staticmethod(STATUS.name)

    def __init__(
        self,
        name: str,
        host: str = "",
        storage_type: int | str = TYPE_DISK,
        backend: str = "",
        status: int | str = STAT_UNKNOWN,
        filename_mapping: Mapping[str, FilenameMapping | Iterable[Iterable[Sequence[str]]]] | None = None,
        x509proxy: str | None = None,
        sid: int = 0,
    ) -> None:
        """Raises ObjectError for an unknown type or status, or a mapping that cannot work."""
        self._name = name
        self.host = host
        self.storage_type = STORAGE_TYPE.check(storage_type)
        self.backend = backend
        self.status = STATUS.check(status)
        self.filename_mapping = filename_mappings(filename_mapping or {})
        self.x509proxy = x509proxy
        self.id = sid
        self.partitions: dict[Partition, SitePartition] = {}
        self._by_dataset: dict[Dataset, DatasetReplica] = {}

    @property
    def name(self) -> str:
        """Unique among sites; never changes."""
        return self._name

    def add_dataset_replica(self, replica: DatasetReplica) -> None:
        """Take a replica into the list."""
        self._by_dataset[replica.dataset] = replica

    def remove_dataset_replica(self, replica: DatasetReplica) -> None:
        """Drop a replica from the list and from all partitions."""
        self._by_dataset.pop(replica.dataset, None)
        for site_partition in self.partitions.values():
            site_partition.replicas.drop(replica)

    def find_dataset_replica(self, dataset: Dataset, must_find: bool = False) -> DatasetReplica | None:
        """The replica of an embedded dataset here.

        Raises ObjectError when it is not there although it must.
        """
        replica = self._by_dataset.get(dataset)
        if replica is None and must_find:
            raise ObjectError(f"Could not find replica of {dataset.name} in {self._name}")
        return replica

    def find_block_replica(self, block: Block | str, must_find: bool = False) -> BlockReplica | None:
        """The replica of a block here; the block is given by object or full name.

        Raises ObjectError when it is not there although it must.
        """
        if isinstance(block, str):
            replica = self._by_full_name(block)
        else:
            replica = block.find_replica(self)
        if replica is None and must_find:
            name = block if isinstance(block, str) else block.full_name()
            raise ObjectError(f"Could not find replica of {name} in {self._name}")
        return replica

    def _by_full_name(self, name: str) -> BlockReplica | None:
        dataset_name, block_name = full_name.split(name)
        for dataset, replica in self._by_dataset.items():
            if dataset.name == dataset_name:
                return replica.find_block_replica(block_name)
        return None

    def dataset_replicas(self) -> list[DatasetReplica]:
        """All dataset replicas here."""
        return list(self._by_dataset.values())

    def to_pfn(self, lfn: str, protocol: str) -> str | None:
        """The physical name of a file for a protocol, or None when no chain works."""
        mapping = self.filename_mapping.get(protocol)
        return None if mapping is None else mapping.map(lfn)

    def embed_into(self, repository: Repository) -> tuple[Site, bool]:
        """Bring this into the inventory: the embedded site, and whether anything changed."""
        embedded = repository.sites.get(self._name)
        if embedded is None:
            embedded = Site(self._name, sid=self.id)
            for partition in repository.partitions.values():
                embedded.partitions[partition] = SitePartition(embedded, partition)
            repository.sites.add(embedded)
            embedded._copy(self)
        elif embedded == self:
            return embedded, False
        else:
            embedded._copy(self)
            repository.membership.site_changed(embedded)
        return embedded, True

    def _copy(self, other: Site) -> None:
        self.host, self.backend, self.x509proxy = other.host, other.backend, other.x509proxy
        self.storage_type, self.status = other.storage_type, other.status
        self.filename_mapping = filename_mappings(other.filename_mapping)

    def unlink_from(self, repository: Repository) -> Site | None:
        """Take the site of this name out of the inventory, with all replicas there."""
        embedded = repository.sites.pop(self._name, None)
        if embedded is None:
            return None
        for replica in embedded.dataset_replicas():
            replica.unlink(repository)
        embedded.partitions.clear()
        return embedded

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Site):
            return NotImplemented
        return (
            self._name == other._name
            and self.host == other.host
            and self.storage_type == other.storage_type
            and self.backend == other.backend
            and self.status == other.status
            and self.filename_mapping == other.filename_mapping
            and self.x509proxy == other.x509proxy
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return (
            f"Site({self._name!r},{self.host!r},'{STORAGE_TYPE.name(self.storage_type)}',{self.backend!r},"
            f"'{STATUS.name(self.status)}',{self.filename_mapping!r},{self.x509proxy!r},{self.id})"
        )
