"""Tables of a stored inventory.

Names and columns are those of the databases that people have; added are `quotas.bytes` (`storage` counts whole TB),
`sites.x509proxy`, and the table of the version.  Times are UTC seconds.
"""

from __future__ import annotations

TABLES: dict[str, tuple[str, ...]] = {
    "software_versions": ("id", "version"),
    "datasets": ("id", "name", "status", "data_type", "software_version_id", "last_update", "is_open"),
    "blocks": ("id", "dataset_id", "name", "size", "num_files", "is_open", "last_update"),
    "files": ("id", "block_id", "size", "name", "checksum"),
    "groups": ("id", "name", "olevel"),
    "sites": ("id", "name", "host", "storage_type", "backend", "status", "x509proxy"),
    "filename_mappings": ("site_id", "protocol", "chain_id", "index", "lfn_pattern", "pfn_pattern"),
    "partitions": ("id", "name"),
    "quotas": ("site_id", "partition_id", "storage", "bytes"),
    "dataset_replicas": ("dataset_id", "site_id", "growing", "group_id"),
    "block_replicas": ("block_id", "site_id", "group_id", "is_custodial", "last_update", "is_complete"),
    "block_replica_files": ("block_id", "site_id", "file_id"),
    "block_replica_sizes": ("block_id", "site_id", "num_files", "size"),
    "store_version": ("name", "epoch", "sequence"),
}
"""Columns of every table, parents before children."""

_DEFINITIONS = """
CREATE TABLE IF NOT EXISTS software_versions (id {key}, version {text2048} NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS datasets (
  id {key}, name {text512} NOT NULL UNIQUE, status {text16} NOT NULL, data_type {text16} NOT NULL,
  software_version_id {int} NOT NULL DEFAULT 0, last_update {int} NOT NULL, is_open {flag} NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (
  id {key}, dataset_id {int} NOT NULL, name {text128} NOT NULL, size {int} NOT NULL, num_files {int} NOT NULL,
  is_open {flag} NOT NULL, last_update {int} NOT NULL, UNIQUE (dataset_id, name),
  FOREIGN KEY (dataset_id) REFERENCES datasets (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS files (
  id {key}, block_id {int} NOT NULL, size {int} NOT NULL, name {text512} NOT NULL UNIQUE,
  checksum {text2048} NOT NULL DEFAULT '[]',
  FOREIGN KEY (block_id) REFERENCES blocks (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS `groups` (id {key}, name {text64} NOT NULL UNIQUE, olevel {text16} NOT NULL);
CREATE TABLE IF NOT EXISTS sites (
  id {key}, name {text32} NOT NULL UNIQUE, host {text256} NOT NULL, storage_type {text16} NOT NULL,
  backend {text128} NOT NULL, status {text16} NOT NULL, x509proxy {text1024} NULL);
CREATE TABLE IF NOT EXISTS filename_mappings (
  site_id {int} NOT NULL, protocol {text32} NOT NULL, chain_id {int} NOT NULL, `index` {int} NOT NULL,
  lfn_pattern {text1024} NOT NULL, pfn_pattern {text1024} NOT NULL,
  PRIMARY KEY (site_id, protocol, chain_id, `index`),
  FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS partitions (id {key}, name {text16} NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS quotas (
  site_id {int} NOT NULL, partition_id {int} NOT NULL, storage {int} NOT NULL DEFAULT 0, bytes {int} NULL,
  PRIMARY KEY (site_id, partition_id),
  FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE,
  FOREIGN KEY (partition_id) REFERENCES partitions (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS dataset_replicas (
  dataset_id {int} NOT NULL, site_id {int} NOT NULL, growing {flag} NOT NULL, group_id {int} NULL,
  PRIMARY KEY (dataset_id, site_id),
  FOREIGN KEY (dataset_id) REFERENCES datasets (id) ON DELETE CASCADE,
  FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS block_replicas (
  block_id {int} NOT NULL, site_id {int} NOT NULL, group_id {int} NOT NULL, is_custodial {flag} NOT NULL,
  last_update {int} NOT NULL, is_complete {flag} NOT NULL,
  PRIMARY KEY (block_id, site_id),
  FOREIGN KEY (block_id) REFERENCES blocks (id) ON DELETE CASCADE,
  FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS block_replica_files (
  block_id {int} NOT NULL, site_id {int} NOT NULL, file_id {int} NOT NULL,
  PRIMARY KEY (block_id, site_id, file_id),
  FOREIGN KEY (block_id, site_id) REFERENCES block_replicas (block_id, site_id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS block_replica_sizes (
  block_id {int} NOT NULL, site_id {int} NOT NULL, num_files {int} NOT NULL, size {int} NOT NULL,
  PRIMARY KEY (block_id, site_id),
  FOREIGN KEY (block_id, site_id) REFERENCES block_replicas (block_id, site_id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS store_version (
  name {text16} NOT NULL PRIMARY KEY, epoch {int} NOT NULL, sequence {int} NOT NULL);
CREATE INDEX IF NOT EXISTS files_of_block ON files (block_id);
CREATE INDEX IF NOT EXISTS replicas_at_site ON dataset_replicas (site_id);
CREATE INDEX IF NOT EXISTS block_replicas_at_site ON block_replicas (site_id);
CREATE INDEX IF NOT EXISTS block_replicas_of_group ON block_replicas (group_id)
"""


def definitions(**types: str) -> list[str]:
    """Statements that make the tables; `types` are the words of a database for its columns."""
    return [statement.strip() for statement in _DEFINITIONS.format(**types).split(";")]
