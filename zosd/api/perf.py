"""`zos.perf.*`: results of the node's own measurements.

One small JSON file for each task in the run folder, so that a restart of the daemon keeps results and a reboot does
not.  Who measures calls `Results.put`; a run that failed puts nothing, and the last good result stays with its age.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

import rmb
from zosd.api.deployments import field
from zosd.api.table import Handler
from zosd.clock import Clock

log = structlog.get_logger(__name__)

NOT_FOUND = "result not found"
MOST_BYTES = 256 << 10
"""Of one result."""
_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")


class Results:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def put(self, name: str, description: str, result: Any) -> None:
        """Replace the task's result.  Raises ValueError for a name or a result that cannot be kept, OSError."""
        if not _NAME.match(name):
            raise ValueError(f"task name {name!r}: use small letters, digits and dashes, at most 64")
        record = {
            "name": name,
            "description": description,
            "timestamp": int(self._clock.time()),
            "result": result,
        }
        text = json.dumps(record)
        if len(text) > MOST_BYTES:
            raise ValueError(f"the result of {name} has {len(text)} bytes, the limit is {MOST_BYTES}")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._folder / f".{name}.new"
        temporary.write_text(text)
        os.rename(temporary, self._folder / f"{name}.json")

    def get(self, name: str) -> dict[str, Any] | None:
        """None when there is no result that can be read."""
        if not _NAME.match(name):
            return None
        try:
            record = json.loads((self._folder / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("a result cannot be read", task=name, why=str(error))
            return None
        return record if isinstance(record, dict) else None

    def all(self) -> list[dict[str, Any]]:
        files = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
        found = (self.get(file.stem) for file in files)
        return [record for record in found if record is not None]


class Perf:
    def __init__(self, results: Results) -> None:
        self._results = results

    def handlers(self) -> Mapping[str, Handler]:
        return {"perf.get": self.get, "perf.get_all": self.get_all}

    async def get(self, request: rmb.Request) -> dict[str, Any]:
        try:
            name = field(request.json(), "name")
        except rmb.HandlerError as error:
            shown = " ".join(str(byte) for byte in request.payload[:200])
            raise rmb.HandlerError(f"failed to unmarshal payload [{shown}]: {error}") from error
        found = self._results.get(name) if isinstance(name, str) else None
        if found is None:
            raise rmb.HandlerError(NOT_FOUND)
        return found

    async def get_all(self, request: rmb.Request) -> list[dict[str, Any]]:
        return self._results.all()
