"""From the tables of a store to an inventory in memory."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from dynamo.core.components.impl.database import Database
from dynamo.core.components.impl.versions import version_value
from dynamo.core.components.persistency import Patterns, Selection
from dynamo.dataformat import Dataset, DatasetReplica, Group, Site, SitePartition
from dynamo.dataformat.blockreplica import FULL, Part, in_order
from dynamo.dataformat.repository import Repository

TB = 10**12


def chooser(patterns: Patterns) -> Callable[[str], bool]:
    """Does a name fit patterns to take and to leave out?"""
    include, exclude = patterns

    def chosen(name: str) -> bool:
        if include is not None and not any(fnmatchcase(name, pattern) for pattern in include):
            return False
        return not any(fnmatchcase(name, pattern) for pattern in exclude or ())

    return chosen


class Loader:
    """Reads all tables, parents before children, and links the objects.

    `by_name`: the lists of partial replicas hold names of files, not their numbers.
    """

    def __init__(
        self, database: Database, repository: Repository, selection: Selection, by_name: bool = False
    ) -> None:
        self._database = database
        self._by_name = by_name
        self._repository = repository
        self._selection = selection
        self._groups: dict[int | None, Group] = {}
        self._sites: dict[int, Site] = {}
        self._datasets: dict[int, Dataset] = {}
        self._blocks: dict[int, tuple[Dataset, int]] = {}
        """Where blocks are: the dataset, and the row there."""

    def load(self) -> None:
        """Fill the inventory; membership of partitions is found out at the end."""
        self._repository.membership.suspended = True
        self._load_groups()
        self._load_sites()
        self._load_quotas()
        self._load_datasets()
        self._load_blocks()
        self._load_dataset_replicas()
        self._load_block_replicas()
        self._repository.membership.recompute()

    def _group(self, number: int | None) -> Group:
        return self._groups.get(number, Group.null_group)

    def _load_groups(self) -> None:
        chosen = chooser(self._selection.groups)
        for number, name, olevel in self._database.rows("SELECT id, name, olevel FROM `groups`"):
            if chosen(name):
                self._groups[number] = Group(name, olevel, number)
                self._repository.groups.add(self._groups[number])

    def _load_sites(self) -> None:
        chosen = chooser(self._selection.sites)
        mappings: dict[int, dict[str, dict[int, list[tuple[str, str]]]]] = {}
        for number, protocol, chain, lfn, pfn in self._database.rows(
            "SELECT site_id, protocol, chain_id, lfn_pattern, pfn_pattern FROM filename_mappings"
            " ORDER BY site_id, protocol, chain_id, `index`"
        ):
            mappings.setdefault(number, {}).setdefault(protocol, {}).setdefault(chain, []).append((lfn, pfn))
        for number, name, host, storage_type, backend, status, proxy in self._database.rows(
            "SELECT id, name, host, storage_type, backend, status, x509proxy FROM sites"
        ):
            if not chosen(name):
                continue
            mapping = {
                protocol: list(chains.values()) for protocol, chains in mappings.get(number, {}).items()
            }
            site = Site(name, host, storage_type, backend, status, mapping, proxy, number)
            for partition in self._repository.partitions.values():
                site.partitions[partition] = SitePartition(site, partition)
            self._sites[number] = site
            self._repository.sites.add(site)

    def _load_quotas(self) -> None:
        partitions = {partition.id: partition for partition in self._repository.partitions.values()}
        for site, partition, storage, size in self._database.rows(
            "SELECT site_id, partition_id, storage, bytes FROM quotas"
        ):
            if site in self._sites and partition in partitions:
                share = self._sites[site].partitions[partitions[partition]]
                share.own_quota = storage * TB if size is None else size

    def _load_datasets(self) -> None:
        chosen = chooser(self._selection.datasets)
        versions = {
            number: version_value(text)
            for number, text in self._database.rows("SELECT id, version FROM software_versions")
        }
        for number, name, status, data_type, version, last_update, is_open in self._database.rows(
            "SELECT id, name, status, data_type, software_version_id, last_update, is_open FROM datasets"
        ):
            if chosen(name):
                dataset = Dataset(
                    name, status, data_type, versions.get(version), last_update, bool(is_open), number
                )
                dataset.repository = self._repository
                self._datasets[number] = dataset
                self._repository.datasets.add(dataset)

    def _load_blocks(self) -> None:
        for number, owner, name, size, num_files, is_open, last_update in self._database.rows(
            "SELECT id, dataset_id, name, size, num_files, is_open, last_update FROM blocks"
        ):
            dataset = self._datasets.get(owner)
            if dataset is not None:
                row = dataset.append_block(name, size, num_files, is_open, last_update, number)
                self._blocks[number] = (dataset, row)

    def _load_dataset_replicas(self) -> None:
        for owner, place, growing, group in self._database.rows(
            "SELECT dataset_id, site_id, growing, group_id FROM dataset_replicas"
        ):
            dataset, site = self._datasets.get(owner), self._sites.get(place)
            if dataset is not None and site is not None:
                DatasetReplica(dataset, site, bool(growing), self._group(group)).link()

    def _load_block_replicas(self) -> None:
        sizes = {
            (block, site): size
            for block, site, size in self._database.rows(
                "SELECT block_id, site_id, size FROM block_replica_sizes"
            )
        }
        owners = self._repository.owners
        lists: dict[tuple[int, int], list[int | str]] = {}
        file_sizes: dict[tuple[int, int], int] = {}
        for block_id, site_id, file_id, file_size, name in self._database.rows(
            "SELECT f.block_id, f.site_id, f.file_id, g.size, g.name FROM block_replica_files f"
            " LEFT JOIN files g ON g.id = f.file_id ORDER BY f.file_id"
        ):
            key = (block_id, site_id)
            lists.setdefault(key, []).append(name if self._by_name and name is not None else file_id)
            file_sizes[key] = file_sizes.get(key, 0) + (file_size or 0)
        for number, place, group, custodial, last_update, complete in self._database.rows(
            "SELECT block_id, site_id, group_id, is_custodial, last_update, is_complete FROM block_replicas"
        ):
            site = self._sites.get(place)
            if number not in self._blocks or site is None:
                continue
            dataset, row = self._blocks[number]
            replica = site.find_dataset_replica(dataset)
            if replica is None:
                replica = DatasetReplica(dataset, site)
                replica.link()
            part: Part = FULL
            if not complete:
                key = (number, place)
                part = (in_order(lists.get(key, [])), sizes.get(key, file_sizes.get(key, 0)))
            replica.append(row, owners.number(self._group(group)), custodial, last_update, part)
