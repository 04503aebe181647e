"""What finished file operations mean for the inventory."""

from __future__ import annotations

import time
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Block, BlockReplica


def apply_finished(inventory: ObjectRepository, finished: list[dict[str, Any]]) -> list[int]:
    """Note files that have come and gone in block replicas; numbers of the operations that are dealt with.

    `finished` are rows with id, file, block, site and is_deletion.  A replica that nobody owns and whose last file
    has gone goes as well.  What the inventory does not know any more is dealt with by doing nothing.
    """
    by_replica: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in finished:
        by_replica.setdefault((row["block"], row["site"]), []).append(row)
    for (full_name, site), rows in sorted(by_replica.items()):
        name, _, block_name = full_name.partition("#")
        dataset = inventory.datasets.get(name)
        block = None if dataset is None else dataset.find_block(block_name)
        replica = None if block is None else block.find_replica(site)
        if block is not None and replica is not None:
            _apply_to(inventory, block, replica, rows)
    return [int(row["id"]) for row in finished]


def _apply_to(
    inventory: ObjectRepository, block: Block, replica: BlockReplica, rows: list[dict[str, Any]]
) -> None:
    files = {file.lfn: file for file in block.files}
    ids = set(files.values()) if replica.file_ids is None else replica.files()
    for row in rows:
        file = files.get(row["file"])
        if file is None:
            continue
        if row["is_deletion"]:
            ids.discard(file)
        else:
            ids.add(file)
    owner = replica.group.name
    if not ids and owner is None and all(row["is_deletion"] for row in rows):
        inventory.delete(replica)
        return
    full = len(ids) == len(files)
    inventory.update(
        BlockReplica(
            block,
            replica.site,
            owner,
            replica.is_custodial,
            -1 if full else sum(file.size for file in ids),
            int(time.time()),
            None if full else [file.lfn for file in ids],
        )
    )
