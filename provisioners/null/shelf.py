"""What null provisioners have "made": one small file for each workload, gone after a reboot."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridtypes import WorkloadId
from provisioners.protocol import owned_ids


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on the shelf."""

    version: int
    """Of the workload when it was made or updated last."""
    data: str
    """The workload's data as JSON text."""
    paused: bool = False
    made: int = 1
    """How often it was made from nothing; a restart that adopts does not count."""


class Shelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, id: WorkloadId) -> Item | None:
        try:
            record: dict[str, Any] = json.loads(self._path(id).read_bytes())
        except FileNotFoundError:
            return None
        return Item(**record)

    def put(self, id: WorkloadId, item: Item) -> None:
        """Replace atomically; not synchronised, because a reboot is meant to lose it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = {"version": item.version, "data": item.data, "paused": item.paused, "made": item.made}
        temporary = self._path(id).with_suffix(".new")
        temporary.write_text(json.dumps(record))
        os.rename(temporary, self._path(id))

    def remove(self, id: WorkloadId) -> None:
        """Safe to repeat."""
        self._path(id).unlink(missing_ok=True)

    def ids(self) -> set[WorkloadId]:
        return owned_ids(self._folder)

    def _path(self, id: WorkloadId) -> Path:
        return self._folder / f"{id}.json"
