"""Statistics: sizes, numbers of replicas, and usage of sites."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Dataset, DatasetReplica, Group, Site
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import listed, yesno
from dynamo.web.request import Caller

TB = 1e12
MAX_PATTERN = 1000
"""Longest constraint, in characters."""

KEYS: dict[str, Callable[[DatasetReplica, Group], Any]] = {
    "data_type": lambda replica, _: Dataset.data_type_name(replica.dataset.data_type),
    "dataset_status": lambda replica, _: Dataset.status_name(replica.dataset.status),
    "dataset_software_version": lambda replica, _: _version(replica.dataset),
    "dataset": lambda replica, _: replica.dataset.name,
    "site": lambda replica, _: replica.site.name,
    "site_status": lambda replica, _: Site.status_name(replica.site.status),
    "group": lambda _, group: group.name,
}
"""What statistics can be listed by, and constrained with."""
DEFAULT_KEY = "data_type"


def _version(dataset: Dataset) -> str | None:
    version = dataset.software_version
    if version is None:
        return None
    return "_".join(str(part) for part in version) if isinstance(version, tuple) else str(version)


class _Selection:
    """What groups have of dataset replicas, as far as it fits the constraints of a request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.list_by = str(request.get("list_by", DEFAULT_KEY))
        if self.list_by not in KEYS:
            raise IllFormedRequest("list_by", self.list_by, allowed=list(KEYS))
        self.physical = yesno(request, "physical", True)
        self._tests = {
            name: [_pattern(name, text) for text in texts]
            for name in KEYS
            if (texts := listed(request, name)) is not None
        }

    def replicas(self, inventory: ObjectRepository) -> Iterator[tuple[Any, DatasetReplica, int]]:
        """Key, replica and bytes of each share."""
        key = KEYS[self.list_by]
        ordered = sorted(self._tests.items())
        for dataset in inventory.datasets.values():
            for replica in dataset.replicas:
                for group, size in replica.size_by_group(self.physical).items():
                    if all(_fits(KEYS[name](replica, group), tests) for name, tests in ordered):
                        yield key(replica, group), replica, size


def _pattern(name: str, text: str) -> re.Pattern[str]:
    try:
        if len(text) > MAX_PATTERN:
            raise IllFormedRequest(name, text[:80], hint=f"at most {MAX_PATTERN} characters are allowed")
        return re.compile(text)
    except re.error as error:
        raise IllFormedRequest(name, text, hint=f"it is no regular expression: {error}") from None


def _fits(value: Any, tests: list[re.Pattern[str]]) -> bool:
    return any(test.match(str(value)) for test in tests)


def sizes(request: dict[str, Any], inventory: ObjectRepository) -> list[dict[str, Any]]:
    """TB by key, largest first."""
    totals: dict[Any, float] = {}
    for key, _, size in _Selection(request).replicas(inventory):
        totals[key] = totals.get(key, 0) + size
    return [{"key": key, "size": total / TB} for key, total in _largest_first(totals)]


def _largest_first(totals: dict[Any, float]) -> list[tuple[Any, float]]:
    return sorted(totals.items(), key=lambda item: (-item[1], str(item[0])))


def usage(request: dict[str, Any], inventory: ObjectRepository) -> dict[str, Any]:
    """TB by site and key; keys by their total, largest first."""
    by_site: dict[str, dict[Any, float]] = {}
    totals: dict[Any, float] = {}
    for key, replica, size in _Selection(request).replicas(inventory):
        place = by_site.setdefault(replica.site.name, {})
        place[key] = place.get(key, 0) + size
        totals[key] = totals.get(key, 0) + size
    content = [
        {"site": site, "usage": [{"key": key, "size": size / TB} for key, size in _largest_first(found)]}
        for site, found in sorted(by_site.items())
    ]
    return {"content": content, "keys": [key for key, _ in _largest_first(totals)]}


class Size(WebModule):
    """`stats/size`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        return {"statistic": "size", "content": sizes(request, inventory)}


class Replication(WebModule):
    """`stats/replication`: mean number of replicas of a dataset, and its spread."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        places: dict[Any, dict[Dataset, set[Site]]] = {}
        for key, replica, _ in _Selection(request).replicas(inventory):
            places.setdefault(key, {}).setdefault(replica.dataset, set()).add(replica.site)
        rows = []
        for key, datasets in places.items():
            counts = [len(sites) for sites in datasets.values()]
            mean = sum(counts) / len(counts)
            spread = math.sqrt(max(0.0, sum(count**2 for count in counts) / len(counts) - mean**2))
            rows.append({"key": key, "mean": mean, "rms": spread})
        rows.sort(key=lambda row: (-float(row["mean"]), str(row["key"])))
        return {"statistic": "replication", "content": rows}


class Usage(WebModule):
    """`stats/usage`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        return {"statistic": "usage", **usage(request, inventory)}
