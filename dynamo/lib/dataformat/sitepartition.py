"""What a partition holds at one site."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dynamo.dataformat.exceptions import IntegrityError, ObjectError
from dynamo.dataformat.members import Members
from dynamo.dataformat.partition import Partition

if TYPE_CHECKING:
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site


class SitePartition:
    """The share of a partition at a site.

    `replicas[dataset_replica]` is None when all of its block replicas belong here, else the set of those that do.
    """

    __slots__ = ("own_quota", "partition", "replicas", "site")

    def __init__(self, site: Site | str, partition: Partition | str, quota: int = 0) -> None:
        self.site = _site(site) if isinstance(site, str) else site
        self.partition = Partition(partition) if isinstance(partition, str) else partition
        self.own_quota = int(quota)
        self.replicas = Members()

    @property
    def quota(self) -> int:
        """Bytes; 0 = none, negative = unlimited.  The quota of a union is the sum of its parts'."""
        parts = self.partition.subpartitions
        if parts is None:
            return self.own_quota
        return sum(self.site.partitions[part].quota for part in parts)

    def set_quota(self, quota: int) -> None:
        """Set the quota in bytes.

        Raises IntegrityError for a union, and for a negative quota on a part of a union.
        """
        if self.partition.subpartitions is not None:
            raise IntegrityError(
                f"Quota of partition {self.partition.name} is the sum of its parts'; set one of these"
            )
        self._check(self.partition, quota)
        self.own_quota = quota

    @staticmethod
    def _check(partition: Partition, quota: int) -> None:
        if quota < 0 and partition.parent is not None:
            raise IntegrityError(
                f"Partition {partition.name} is a part of {partition.parent.name}, "
                f"so its quota cannot be unlimited ({quota}); give a number of bytes"
            )

    def used(self, physical: bool = True) -> int:
        """Bytes that are here (`physical`), or will be when all replicas are complete."""
        return self.replicas.size(physical)

    def occupancy_fraction(self, physical: bool = True) -> float:
        """Used space over quota; the largest float without a quota, 0 when it is unlimited."""
        quota = self.quota
        if quota == 0:
            return sys.float_info.max
        if quota < 0:
            return 0.0
        return self.used(physical) / quota

    def embed_into(self, repository: Repository) -> tuple[SitePartition, bool]:
        """Set the quota in the inventory: the embedded object, and whether anything changed.

        Raises ObjectError for an unknown site or partition, IntegrityError for a quota that cannot be.
        """
        site = repository.sites.get(self.site.name)
        if site is None:
            raise ObjectError(f"Unknown site {self.site.name}")
        partition = repository.partitions.get(self.partition.name)
        if partition is None:
            raise ObjectError(f"Unknown partition {self.partition.name}")
        embedded = site.partitions[partition]
        if embedded.own_quota == self.own_quota:
            return embedded, False
        self._check(partition, self.own_quota)
        embedded.own_quota = self.own_quota
        return embedded, True

    def unlink_from(self, repository: Repository) -> SitePartition | None:
        """Raises ObjectError: it is there as long as both the site and the partition are."""
        raise ObjectError("Deletion of a single SitePartition is not allowed")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, SitePartition):
            return NotImplemented
        return (
            self.site.name == other.site.name
            and self.partition.name == other.partition.name
            and self.own_quota == other.own_quota
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"SitePartition({self.site.name!r},{self.partition.name!r},{self.own_quota})"


def _site(name: str) -> Site:
    from dynamo.dataformat.site import Site  # a site makes its own shares of the partitions

    return Site(name)
