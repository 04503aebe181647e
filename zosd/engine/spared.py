"""Disks that a new journal finds on the machine are not leftovers: somebody may have lost the journal, not the data.

They are listed in the log and left alone for good; whoever does not want them removes them by hand.
"""

from __future__ import annotations

import json

import structlog

from gridtypes import WorkloadId, WorkloadType
from zosd.engine.orphans import Inventory
from zosd.journal.journal import Journal

log = structlog.get_logger(__name__)

NOTE = "spared"
KEEP_DATA = (WorkloadType.ZMOUNT, WorkloadType.VOLUME, WorkloadType.ZDB)

Things = set[tuple[WorkloadType, WorkloadId]]


async def spared(journal: Journal, found: Inventory) -> Things:
    """What of `found` has to be left alone although the journal does not know it."""
    note = journal.ledger.note(NOTE)
    if note is not None:
        return {(WorkloadType(type), WorkloadId.parse(id)) for type, id in json.loads(note)}
    # The note is missing only where this journal sees the machine for the first time.
    kept: Things = {(type, id) for type in KEEP_DATA for id in found.get(type, ())}
    if kept:
        log.error(
            "a new journal found disks on this machine; they are left alone: restore the journal they belong to, "
            "or remove them by hand",
            disks=sorted(f"{type.value} {id}" for type, id in kept),
        )
    await journal.put_note(NOTE, json.dumps(sorted((type.value, str(id)) for type, id in kept)).encode())
    return kept
