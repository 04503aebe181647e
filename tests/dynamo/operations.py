"""Random changes of a small inventory, the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

PARTITIONS = """
Default: dataset.name == *
Alpha: dataset.name == /A/*
Owned: blockreplica.owner != None
Tape: site.storage_type == MSS
Ready: site.status == READY
Beta: blockreplica.owner in [g1 g2]
Recent: blockreplica.last_update newer_than @10
Large: dataset.size > 150
Incomplete: replica.incomplete
Late: replica.last_block_created > @12
Taped: dataset.on_tape != NONE
Copied: blockreplica.num_full_disk_copy > 1
Released: dataset.release == 1_2_3
Super: [Alpha, Beta]
"""
"""Definitions of every reach, and one that cannot be said of most datasets."""

_DATASETS = ("/A/1", "/A/2", "/B/1", "/Ü/'\"")
_BLOCKS = ("b1", "b2", "c#1")
_SITES = ("S1", "S2", "S3")
_GROUPS = ("g1", "g2", "G1", None)
_PARTITION_NAMES = ("Default", "Alpha", "Beta", "Super", "Nowhere")


def operations(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Commands with JSON objects; many do not fit the state that they meet, on purpose."""
    dice = random.Random(seed)
    for number in range(count):
        action = "delete" if dice.random() < 0.22 else "update"
        yield action, _obj(dice, number)


def _obj(dice: random.Random, number: int) -> dict[str, Any]:
    kind = dice.choices(
        ("Dataset", "Block", "File", "Group", "Site", "SitePartition", "DatasetReplica", "BlockReplica"),
        (10, 14, 8, 6, 8, 5, 18, 31),
    )[0]
    dataset, block = dice.choice(_DATASETS), dice.choice(_BLOCKS)
    site, group = dice.choice(_SITES), dice.choice(_GROUPS)
    match kind:
        case "Dataset":
            return {
                "class": kind,
                "name": dataset,
                "status": dice.choice(("valid", "invalid", "production")),
                "data_type": dice.choice(("unknown", "test")),
                "software_version": dice.choice((None, [7], ["x"], [1, 2, 3, 0], 5)),
                "last_update": dice.randrange(20),
                "is_open": dice.random() < 0.5,
            }
        case "Block":
            return {
                "class": kind,
                "name": block,
                "dataset": dataset,
                "size": dice.choice((0, 0, 100, 200)),
                "num_files": dice.choice((0, 0, 1)),
                "is_open": dice.random() < 0.5,
                "last_update": dice.randrange(20),
            }
        case "File":
            return {
                "class": kind,
                "lfn": f"{dataset}/{block}/f{dice.randrange(2)}",
                "block": f"{dataset}#{block}",
                "size": dice.randrange(100),
            }
        case "Group":
            return {"class": kind, "name": group, "olevel": dice.choice(("Dataset", "Block"))}
        case "Site":
            return {
                "class": kind,
                "name": site,
                "host": dice.choice(("", "h")),
                "storage_type": dice.choice(("disk", "mss", "buffer")),
                "status": dice.choice(("ready", "morgue")),
                "filename_mapping": dice.choice(({}, {"p": [[["/(.+)", "x{0}"]], [["(.*)", "y"]]]})),
                "x509proxy": dice.choice((None, "/proxy")),
            }
        case "SitePartition":
            quota = dice.choice((0, 1500, 10**12, 1, -1))
            return {"class": kind, "site": site, "partition": dice.choice(_PARTITION_NAMES), "quota": quota}
        case "DatasetReplica":
            growing = dice.random() < 0.5
            return {"class": kind, "dataset": dataset, "site": site, "growing": growing, "group": group}
        case _:
            full = dice.random() < 0.6
            return {
                "class": "BlockReplica",
                "block": f"{dataset}#{block}",
                "site": site,
                "group": group,
                "is_custodial": dice.random() < 0.3,
                "size": -1 if full else dice.choice((0, 50)),
                "last_update": dice.randrange(20),
                "file_ids": None if full else dice.choice(([], [1, 2], [9])),
            }


def with_named_files(value: dict[str, Any]) -> dict[str, Any]:
    """The same object with names of files of its block in its list: what programs of a fleet say."""
    if value.get("file_ids"):
        name = value["block"].replace("#", "/", 1)
        value["file_ids"] = [f"{name}/f{number % 2}" for number in value["file_ids"]]
    return value
