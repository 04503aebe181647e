"""Sites, datasets, groups, and names of files at sites."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Dataset, Site
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import fits, listed, paged
from dynamo.web.request import Caller

TB = 1e12
FALLBACK_PROTOCOL = "gfal2"


def site_usage(site: Site, partitions: list[str] | None) -> dict[str, Any]:
    """A site with its partitions: quota, usage and projected usage in TB."""
    rows = []
    totals = {"quota": 0.0, "usage": 0.0, "projected_usage": 0.0}
    for partition, share in sorted(site.partitions.items(), key=lambda item: item[0].name):
        if not fits(partition.name, partitions):
            continue
        quota = share.quota
        used, projected = (share.used(), share.used(physical=False)) if quota > 0 else (0, 0)
        is_basic = partition.subpartitions is None
        row = {
            "name": partition.name,
            "type": "basic" if is_basic else "composite",
            "quota": quota / TB,
            "usage": used / TB,
            "projected_usage": projected / TB,
        }
        if is_basic and quota > 0:
            totals = {name: total + float(str(row[name])) for name, total in totals.items()}
        rows.append(row)
    return {
        "name": site.name,
        "host": site.host,
        "storage_type": Site.storage_type_name(site.storage_type),
        "status": Site.status_name(site.status),
        "partitions": rows,
        **{f"total_{name}": total for name, total in totals.items()},
    }


class Sites(WebModule):
    """`sites`: patterns of `site`, names of `partition`; `limit` at a time, from behind `after`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        patterns, partitions = listed(request, "site"), listed(request, "partition")
        names = paged((name for name in inventory.sites if fits(name, patterns)), request)
        return [site_usage(inventory.sites[name], partitions) for name in names]


class Datasets(WebModule):
    """`datasets`: patterns of `dataset`, without any no dataset; `limit` at a time, from behind `after`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        patterns = listed(request, "dataset")
        if patterns is None:
            return []
        return [
            {
                "name": name,
                "size": dataset.size,
                "num_files": dataset.num_files,
                "status": Dataset.status_name(dataset.status),
                "type": Dataset.data_type_name(dataset.data_type),
            }
            for name in paged((name for name in inventory.datasets if fits(name, patterns)), request)
            if (dataset := inventory.datasets.get(name)) is not None
        ]


class Groups(WebModule):
    """`groups`: names of `group`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        patterns = listed(request, "group")
        names = sorted("(no group)" if name is None else name for name in inventory.groups)
        return [{"name": name} for name in names if fits(name, patterns)]


class Nodes(WebModule):
    """`nodes`: patterns of `node`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        patterns = listed(request, "node")
        return {
            "node": [
                {
                    "name": name,
                    "id": site.id,
                    "kind": Site.storage_type_name(site.storage_type),
                    "se": site.host,
                    "technology": "",
                }
                for name, site in sorted(inventory.sites.items())
                if fits(name, patterns)
            ]
        }


class Lfn2Pfn(WebModule):
    """`lfn2pfn`: patterns of `node`, names of `protocol` and `lfn`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        mapping = []
        names = {name: listed(request, name) for name in ("node", "protocol", "lfn")}
        if any(value is None for value in names.values()):
            return {"mapping": []}
        for pattern in names["node"] or ():
            for _, site in sorted(inventory.sites.items()):
                if not fits(site.name, [pattern]):
                    continue
                for protocol in names["protocol"] or ():
                    used = protocol if protocol in site.filename_mapping else FALLBACK_PROTOCOL
                    for lfn in names["lfn"] or ():
                        mapping.append(
                            {
                                "protocol": protocol,
                                "node": pattern,
                                "lfn": lfn,
                                "pfn": site.to_pfn(lfn, used),
                                "custodial": None,
                                "destination": None,
                                "space_token": None,
                            }
                        )
        return {"mapping": mapping}
