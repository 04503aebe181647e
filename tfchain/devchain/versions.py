"""Spec versions of one chain: which block is read with which metadata."""

from __future__ import annotations

import json
from bisect import bisect_right

from tfchain.devchain.interface import Interface, interface
from tfchain.devchain.store import Store

KEY = "spec_versions"
MOST = 1024


class Versions:
    """The interfaces that the chain had, each from the block after its upgrade on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        base = interface()
        kept = json.loads(store.meta(KEY) or "[]")
        self._changes: list[tuple[int, Interface]] = [(0, base)]
        self._changes += [(int(number), base.at_version(int(spec))) for number, spec in kept]

    @property
    def current(self) -> Interface:
        return self._changes[-1][1]

    def at(self, number: int) -> Interface:
        """The interface that reads block `number` and the state after it."""
        return self._changes[bisect_right(self._changes, number, key=lambda change: change[0]) - 1][1]

    def upgrade(self, number: int, spec_version: int) -> Interface:
        """From block `number` on, the chain has `spec_version`; durable.  Raises ValueError after too many."""
        if len(self._changes) >= MOST:
            raise ValueError(f"the chain was upgraded {MOST - 1} times already")
        self._changes.append((number, self.current.at_version(spec_version)))
        self._keep()
        return self.current

    def forget_after(self, number: int) -> None:
        """Undo upgrades that came after block `number`."""
        self._changes = [change for change in self._changes if change[0] <= number]
        self._keep()

    def _keep(self) -> None:
        kept = [[number, made.version["spec_version"]] for number, made in self._changes[1:]]
        self._store.set_meta({KEY: json.dumps(kept)})
