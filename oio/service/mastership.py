"""What a master knows while it works under one token, and what it concludes. Pure.

A master is lost with its process and is never stored: what counts stands in the logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from oio.service import quorum, replica
from oio.service.quorum import Verdict
from oio.service.replica import Entry, Facts, Prepare


@dataclass
class Mastership:
    """One peer's term of office. It serves only once a majority has promised its token (`ready`)."""

    peer: str
    token: int
    answers: dict[str, Facts] = field(default_factory=dict)
    acknowledged: dict[int, set[str]] = field(default_factory=dict)
    ready: bool = False

    def promised(self, peer: str, facts: Facts, configs: Iterable[frozenset[str]]) -> str | None:
        """Note a promise; the peer whose log must be taken once a majority, this peer among it, has promised."""
        if self.ready:
            return None
        self.answers[peer] = facts
        if self.peer not in self.answers or not quorum.reached(self.answers, configs):
            return None
        return replica.best_log(self.answers)

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


def catch_up(
    token: int, behind: Facts, epoch: int | None, log: tuple[Entry, ...], committed: int
) -> Prepare | None:
    """The batch that brings a copy up from its commit point; None when the log no longer reaches that far back.

    `log` holds the master's entries from `behind.committed + 1` on, `epoch` is the token of the entry before them.
    """
    if epoch is None or (log and log[0].seq != behind.committed + 1):
        return None
    return Prepare(token, behind.committed, epoch, log, committed)
