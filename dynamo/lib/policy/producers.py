"""What fills in attributes of datasets before a policy looks at them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dynamo.dataformat import Block, ConfigurationError, Dataset, DatasetReplica
from dynamo.dataformat.repository import Repository
from dynamo.policy.condition import ReplicaCondition, SiteCondition

LOCKED = "locked_blocks"
ENFORCED = "enforcer_protected_replicas"


def produce_values(inventory: Repository, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Fill in attributes that somebody has measured elsewhere: by name of the dataset and of the attribute."""
    for name, attributes in values.items():
        dataset = inventory.datasets.get(name)
        if dataset is not None:
            dataset.attr.update(attributes)


def read_values(path: Path) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The attributes of a file of JSON, and their names.  Raises ConfigurationError."""
    try:
        values = json.loads(path.read_text())
        names = {name for attributes in values.values() for name in attributes}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no file of JSON with attributes by name of the dataset: {error}"
        ) from None
    return values, names


def produce_locks(inventory: Repository, locks: Iterable[dict[str, Any]]) -> None:
    """Fill in `locked_blocks`: for every site the blocks that somebody has locked, or None for all of them.

    `locks` are rows with item (a pattern of datasets or blocks), and sites and groups if not all.
    """
    for lock in locks:
        name, mark, block_name = str(lock["item"]).partition("#")
        for dataset in _datasets(inventory, name):
            for replica in dataset.replicas:
                if lock.get("sites") not in (None, "*", replica.site.name):
                    continue
                chosen = {
                    member.block
                    for member in replica.block_replicas
                    if (not mark or fnmatchcase(member.block.real_name(), block_name))
                    and lock.get("groups") in (None, "*", member.group.name)
                }
                _add_locked(dataset, replica, chosen)


def _add_locked(dataset: Dataset, replica: DatasetReplica, chosen: set[Block]) -> None:
    locked = dataset.attr.setdefault(LOCKED, {})
    if locked.get(replica.site, chosen) is None:
        return
    known = locked.get(replica.site, set()) | chosen
    if known:
        everything = {member.block for member in replica.block_replicas}
        locked[replica.site] = None if known >= everything else known


def _datasets(inventory: Repository, pattern: str) -> list[Dataset]:
    if not any(mark in pattern for mark in "*?["):
        dataset = inventory.datasets.get(pattern)
        return [] if dataset is None else [dataset]
    return [dataset for name, dataset in sorted(inventory.datasets.items()) if fnmatchcase(name, pattern)]


class EnforcerRule:
    """A number of full copies of some datasets at some sites.

    `num_copies`, `destinations` and `sources` (conditions on sites), `target_datasets` (conditions on replicas).
    """

    def __init__(self, name: str, config: dict[str, Any], now: float | None = None) -> None:
        """Raises ConfigurationError for conditions that cannot be read."""
        self.name = name
        moment = time.time() if now is None else now
        self.num_copies = int(config.get("num_copies", 1))
        self._destinations = [SiteCondition(text, moment) for text in config["destinations"]]
        self._sources = [SiteCondition(text, moment) for text in config.get("sources", ())]
        self._datasets = [ReplicaCondition(text, moment) for text in config["target_datasets"]]

    def is_destination(self, site: Any) -> bool:
        """May copies be at this site?"""
        return any(condition.match(site) for condition in self._destinations)

    def wants(self, dataset: Dataset) -> bool:
        """Does the rule speak of this dataset?"""
        return any(
            all(condition.match(replica) for condition in self._datasets)
            for replica in dataset.replicas
            if not self._sources or any(condition.match(replica.site) for condition in self._sources)
        )

    def copies(self, dataset: Dataset) -> list[DatasetReplica]:
        """Full replicas at destinations, by name of the site."""
        return sorted(
            (
                replica
                for replica in dataset.replicas
                if self.is_destination(replica.site) and replica.is_full()
            ),
            key=lambda replica: replica.site.name,
        )


def produce_enforced(inventory: Repository, rules: Iterable[EnforcerRule]) -> None:
    """Fill in `enforcer_protected_replicas`: replicas without which a rule would not be kept."""
    for rule in rules:
        for dataset in inventory.datasets.values():
            if rule.wants(dataset):
                kept = rule.copies(dataset)
                if len(kept) <= rule.num_copies:
                    dataset.attr.setdefault(ENFORCED, set()).update(kept)
