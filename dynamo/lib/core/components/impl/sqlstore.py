"""A store in the tables of a relational database, whichever it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dynamo.core.components.impl.database import Database
from dynamo.core.components.impl.schema import TABLES
from dynamo.core.components.impl.sqlload import Loader, chooser
from dynamo.core.components.impl.versions import version_text
from dynamo.core.components.persistency import Commit, InventoryStore, Patterns, Selection, Table, Version
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    File,
    Group,
    ObjectError,
    Partition,
    Site,
    SitePartition,
)
from dynamo.dataformat.dataset import DATA_TYPE
from dynamo.dataformat.dataset import STATUS as DATASET_STATUS
from dynamo.dataformat.group import OLEVEL
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.site import STATUS as SITE_STATUS
from dynamo.dataformat.site import STORAGE_TYPE
from dynamo.dataformat.wire import Object

_EVERYTHING = Selection()


class SQLInventoryStore(InventoryStore):
    """The statements; a kind of database only says how to connect."""

    database: Database

    def close(self) -> None:
        self.database.close()

    def check_connection(self) -> bool:
        try:
            self.version()
        except Exception:
            return False
        return True

    def version(self) -> Version:
        for epoch, sequence in self.database.rows("SELECT epoch, sequence FROM store_version"):
            return Version(epoch, sequence)
        return Version(0, 0)

    @contextmanager
    def transaction(self) -> Iterator[Commit]:
        self.database.begin()
        commit = Commit()
        try:
            yield commit
            if commit.version is not None:
                self.database.execute("REPLACE INTO store_version VALUES ('inventory', ?, ?)", commit.version)
        except BaseException:
            self.database.rollback()
            raise
        self.database.commit()

    def _names(self, table: str, patterns: Patterns) -> list[str]:
        chosen = chooser(patterns)
        return [
            name for (name,) in self.database.rows(f"SELECT name FROM {table} ORDER BY name") if chosen(name)
        ]

    def get_group_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        return self._names("`groups`", (include, exclude))

    def get_site_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        return self._names("sites", (include, exclude))

    def get_dataset_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        return self._names("datasets", (include, exclude))

    def get_partitions(self) -> dict[str, int]:
        return {name: number for number, name in self.database.rows("SELECT id, name FROM partitions")}

    def get_files(self, block: Block) -> list[File]:
        number = self._number(block) if self.by_name else block.id
        return [
            File(name, block, size, json.loads(checksum), number)
            for number, size, name, checksum in self.database.rows(
                "SELECT id, size, name, checksum FROM files WHERE block_id = ?", (number,)
            )
        ]

    def _number(self, block: Block) -> int:
        """The number of a block that may have another one in memory, or none; 0 when it is not stored."""
        for (number,) in self.database.rows(
            "SELECT b.id FROM blocks b JOIN datasets d ON d.id = b.dataset_id WHERE d.name = ? AND b.name = ?",
            (block.dataset.name, block.name),
        ):
            return int(number)
        return 0

    def get_file_id(self, lfn: str) -> int | None:
        for (number,) in self.database.rows("SELECT id FROM files WHERE name = ?", (lfn,)):
            return int(number)
        return None

    def find_block_containing(self, lfn: str) -> tuple[str, str] | None:
        for dataset, block in self.database.rows(
            "SELECT d.name, b.name FROM files f JOIN blocks b ON b.id = f.block_id"
            " JOIN datasets d ON d.id = b.dataset_id WHERE f.name = ?",
            (lfn,),
        ):
            return dataset, block
        return None

    def load_data(self, repository: Repository, selection: Selection = _EVERYTHING) -> Version:
        self.database.begin_snapshot()
        try:
            Loader(self.database, repository, selection, self.by_name).load()
            return self.version()
        finally:
            self.database.rollback()

    def save(self, obj: Object) -> None:
        match obj:
            case Dataset():
                self._save_dataset(obj)
            case Block():
                self._save_row(
                    obj,
                    "blocks",
                    dataset_id=obj.dataset.id,
                    name=obj.name,
                    size=obj.size,
                    num_files=obj.num_files,
                    is_open=int(obj.is_open),
                    last_update=obj.last_update,
                )
            case File():
                self._save_file(obj)
            case Group():
                if obj.name is not None:
                    self._save_row(obj, "`groups`", name=obj.name, olevel=OLEVEL.name(obj.olevel))
            case Site():
                self._save_site(obj)
            case SitePartition():
                self.database.execute(
                    "REPLACE INTO quotas (site_id, partition_id, storage, bytes) VALUES (?, ?, ?, ?)",
                    (obj.site.id, obj.partition.id, obj.own_quota // 10**12, obj.own_quota),
                )
            case DatasetReplica():
                self.database.execute(
                    "REPLACE INTO dataset_replicas (dataset_id, site_id, growing, group_id) VALUES (?, ?, ?, ?)",
                    (obj.dataset.id, obj.site.id, int(obj.growing), obj.group.id or None),
                )
            case BlockReplica():
                self._save_block_replica(obj)
            case Partition():
                self._save_row(obj, "partitions", name=obj.name)

    def _save_row(self, obj: Any, table: str, **values: Any) -> None:
        columns = list(values)
        if obj.id == 0:
            marks = ", ".join("?" * len(columns))
            obj.id = self.database.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", list(values.values())
            )
        else:
            assignments = ", ".join(f"{column} = ?" for column in columns)
            self.database.execute(
                f"UPDATE {table} SET {assignments} WHERE id = ?", [*values.values(), obj.id]
            )

    def _save_dataset(self, dataset: Dataset) -> None:
        version_id = 0
        if dataset.software_version is not None:
            text = version_text(dataset.software_version)
            for (number,) in self.database.rows(
                "SELECT id FROM software_versions WHERE version = ?", (text,)
            ):
                version_id = number
            if version_id == 0:
                version_id = self.database.execute(
                    "INSERT INTO software_versions (version) VALUES (?)", (text,)
                )
        self._save_row(
            dataset,
            "datasets",
            name=dataset.name,
            status=DATASET_STATUS.name(dataset.status).upper(),
            data_type=DATA_TYPE.name(dataset.data_type).upper(),
            software_version_id=version_id,
            last_update=dataset.last_update,
            is_open=int(dataset.is_open),
        )

    def _save_file(self, file: File) -> None:
        assert file.block is not None, "an embedded file has a block"
        for number, owner in self.database.rows("SELECT id, block_id FROM files WHERE name = ?", (file.lfn,)):
            if owner != file.block.id:
                raise ObjectError(
                    f"File {file.lfn} already belongs to another block than {file.block.full_name()}"
                )
            file.id = number
        self._save_row(
            file,
            "files",
            block_id=file.block.id,
            size=file.size,
            name=file.lfn,
            checksum=json.dumps(file.checksum),
        )

    def _save_site(self, site: Site) -> None:
        self._save_row(
            site,
            "sites",
            name=site.name,
            host=site.host,
            storage_type=STORAGE_TYPE.name(site.storage_type),
            backend=site.backend,
            status=SITE_STATUS.name(site.status),
            x509proxy=site.x509proxy,
        )
        self.database.execute("DELETE FROM filename_mappings WHERE site_id = ?", (site.id,))
        self.database.execute_many(
            "INSERT INTO filename_mappings VALUES (?, ?, ?, ?, ?, ?)",
            [
                (site.id, protocol, chain_id, index, lfn, pfn)
                for protocol, mapping in site.filename_mapping.items()
                for chain_id, chain in enumerate(mapping.chains)
                for index, (lfn, pfn) in enumerate(chain)
            ],
        )

    def _save_block_replica(self, replica: BlockReplica) -> None:
        key = (replica.block.id, replica.site.id)
        full = replica.file_ids is None
        self.database.execute("DELETE FROM block_replicas WHERE block_id = ? AND site_id = ?", key)
        self.database.execute(
            "INSERT INTO block_replicas (block_id, site_id, group_id, is_custodial, last_update, is_complete)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*key, replica.group.id, int(replica.is_custodial), replica.last_update, int(full)),
        )
        if replica.file_ids is not None:
            self.database.execute_many(
                "INSERT INTO block_replica_files VALUES (?, ?, ?)",
                [(*key, number) for number in replica.file_ids],
            )
            self.database.execute(
                "INSERT INTO block_replica_sizes VALUES (?, ?, ?, ?)", (*key, replica.num_files, replica.size)
            )

    def delete(self, obj: Object) -> None:
        match obj:
            case Dataset():
                self.database.execute("DELETE FROM datasets WHERE id = ?", (obj.id,))
            case Block():
                sites = list(
                    self.database.rows("SELECT site_id FROM block_replicas WHERE block_id = ?", (obj.id,))
                )
                self.database.execute("DELETE FROM blocks WHERE id = ?", (obj.id,))
                for (site,) in sites:
                    self._drop_emptied(obj.dataset.id, site)
            case File():
                self._delete_file(obj)
            case Group():
                self.database.execute("UPDATE block_replicas SET group_id = 0 WHERE group_id = ?", (obj.id,))
                self.database.execute(
                    "UPDATE dataset_replicas SET group_id = NULL WHERE group_id = ?", (obj.id,)
                )
                self.database.execute("DELETE FROM `groups` WHERE id = ?", (obj.id,))
            case Site():
                self.database.execute("DELETE FROM sites WHERE id = ?", (obj.id,))
            case DatasetReplica():
                key = (obj.site.id, obj.dataset.id)
                self.database.execute(
                    "DELETE FROM block_replicas WHERE site_id = ?"
                    " AND block_id IN (SELECT id FROM blocks WHERE dataset_id = ?)",
                    key,
                )
                self.database.execute(
                    "DELETE FROM dataset_replicas WHERE site_id = ? AND dataset_id = ?", key
                )
            case BlockReplica():
                self.database.execute(
                    "DELETE FROM block_replicas WHERE block_id = ? AND site_id = ?",
                    (obj.block.id, obj.site.id),
                )
                self._drop_emptied(obj.block.dataset.id, obj.site.id)
            case Partition():
                self.database.execute("DELETE FROM partitions WHERE id = ?", (obj.id,))
            case _:
                raise ObjectError(f"{obj!r} cannot be deleted")

    def _drop_emptied(self, dataset_id: int, site_id: int) -> None:
        self.database.execute(
            "DELETE FROM dataset_replicas WHERE dataset_id = ? AND site_id = ? AND NOT EXISTS ("
            "SELECT 1 FROM block_replicas r JOIN blocks b ON b.id = r.block_id"
            " WHERE b.dataset_id = ? AND r.site_id = ?)",
            (dataset_id, site_id, dataset_id, site_id),
        )

    def _delete_file(self, file: File) -> None:
        assert file.block is not None, "an embedded file has a block"
        self.database.execute(
            "DELETE FROM block_replica_files WHERE block_id = ? AND file_id = ?", (file.block.id, file.id)
        )
        self.database.execute("DELETE FROM files WHERE id = ?", (file.id,))
        self.database.execute_many(
            "UPDATE block_replica_sizes SET num_files = ?, size = ? WHERE block_id = ? AND site_id = ?",
            [
                (replica.num_files, replica.size, file.block.id, replica.site.id)
                for replica in file.block.replicas
                if replica.file_ids is not None
            ],
        )

    def save_data(self, repository: Repository) -> None:
        with self.transaction():
            self._empty()
            for partition in repository.partitions.values():
                partition.id = 0
                self.save(partition)
            for group in repository.groups.values():
                if group.name is not None:
                    group.id = 0
                    self.save(group)
            for site in repository.sites.values():
                site.id = 0
                self.save(site)
                for share in site.partitions.values():
                    if share.own_quota:
                        self.save(share)
            for dataset in repository.datasets.values():
                self._save_tree(dataset)

    def _save_tree(self, dataset: Dataset) -> None:
        dataset.id = 0
        self.save(dataset)
        for block in dataset.blocks:
            files = list((block.pinned_files or {}).values())
            block.id = 0
            self.save(block)
            for file in files:
                file.id = 0
                self.save(file)
        for replica in dataset.replicas:
            self.save(replica)
            for member in replica.block_replicas:
                self.save(member)

    def _empty(self) -> None:
        for table in reversed(TABLES):
            if table != "store_version":
                self.database.execute(f"DELETE FROM `{table}`")

    def tables(self) -> Iterator[Table]:
        self.database.begin_snapshot()
        try:
            for name, columns in TABLES.items():
                listed = ", ".join(f"`{column}`" for column in columns)
                yield Table(name, columns, self.database.rows(f"SELECT {listed} FROM `{name}`"))
        finally:
            self.database.rollback()

    def clone_from(self, other: InventoryStore) -> None:
        with self.transaction():
            self._empty()
            self.database.execute("DELETE FROM store_version")
            for table in other.tables():
                listed = ", ".join(f"`{column}`" for column in table.columns)
                marks = ", ".join("?" * len(table.columns))
                self.database.execute_many(
                    f"INSERT INTO `{table.name}` ({listed}) VALUES ({marks})", table.rows
                )
