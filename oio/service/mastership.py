"""What a master knows while it works under one token, and what it concludes. Pure.

A master is lost with its process and is never stored: what counts stands in the logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from oio.service import quorum, replica
from oio.service.quorum import Verdict
from oio.service.replica import Entry, Facts, Prepare, Promise

MAX_BATCH: Final = 256
"""Entries sent at once to a copy that is behind."""
MAX_BATCH_BYTES: Final = 8 << 20
"""Bytes of their changes, unless a single entry has more."""


@dataclass
class Mastership:
    """One peer's term of office. It serves only once a majority has promised its token (`ready`)."""

    peer: str
    token: int
    peers: frozenset[str]
    promises: dict[str, Promise] = field(default_factory=dict)
    acknowledged: dict[int, set[str]] = field(default_factory=dict)
    ready: bool = False

    def promised(self, peer: str, promise: Promise) -> str | None:
        """Note a promise; the peer whose log must be taken once enough, this peer among them, have promised."""
        if self.ready:
            return None
        self.promises[peer] = promise
        if self.peer not in self.promises or not quorum.reached(self.promises, self.configs):
            return None
        return self.best

    @property
    def best(self) -> str:
        """The peer with the best log of those that have promised."""
        return replica.best_log({peer: promise.facts for peer, promise in self.promises.items()})

    @property
    def configs(self) -> tuple[frozenset[str], ...]:
        """The peer sets that must each give a majority of promises: one's own and those in force in the best log."""
        return (self.peers, *self.promises[self.best].configs) if self.promises else (self.peers,)

    def accepted(
        self, peer: str, entries: Iterable[Entry], failed: Iterable[str], configs: Iterable[frozenset[str]]
    ) -> tuple[Verdict, int]:
        """Note that a peer has written `entries`; the verdict on the last of them and its number (0: none is ours)."""
        last = 0
        for entry in entries:
            if entry.epoch == self.token:
                self.acknowledged.setdefault(entry.seq, set()).add(peer)
                last = max(last, entry.seq)
        if not last:
            return Verdict.WAIT, 0
        return quorum.decide(self.acknowledged[last], tuple(failed), tuple(configs)), last

    def forget(self, committed: int) -> None:
        """Drop what was noted of entries up to `committed`."""
        for seq in [seq for seq in self.acknowledged if seq <= committed]:
            del self.acknowledged[seq]


def catch_up(token: int, behind: Facts, log: Sequence[Entry], committed: int) -> Prepare | None:
    """The next batch for a copy, from its commit point on; None when the log no longer reaches that far back.

    `log` holds the master's entries from `behind.committed + 1` on. Below the commit point all logs are equal, so the
    token of the entry before the batch does not matter.
    """
    if not log or log[0].seq != behind.committed + 1:
        return None
    size, batch = 0, list[Entry]()
    for entry in log[:MAX_BATCH]:
        size += len(entry.change)
        if batch and size > MAX_BATCH_BYTES:
            break
        batch.append(entry)
    return Prepare(token, behind.committed, 0, tuple(batch), committed)
