"""What one copy of a base may do with its log. Pure: the storage stands behind `Log`.

Every master works under a *token* that no other master ever has (the fencing token of its lease). Rules:

1. A copy that has promised a token refuses everything that carries a lower one (`is_fenced`).
2. Entries are numbered from 1 without gaps. An entry is accepted only behind the entry that precedes it at the master.
3. A new master first collects promises from a majority, takes the log with the highest token and, among those, the
   longest (`best_log`), and proposes its uncommitted end again under its own token, as one batch (`restamp`).
4. An entry on a majority is committed. A committed entry is never replaced.
5. While a change of peers is on its way, old and new peers must each give a majority: of promises as of copies. The log
   taken in 3. says which changes are on their way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: its number, the token it was last proposed under, its changeset, and the peers it brings, if any."""

    seq: int
    epoch: int
    change: bytes
    peers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a copy says of itself: highest token promised, last committed number, last number and its token."""

    promised: int
    committed: int
    last_seq: int
    last_epoch: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """A master's batch: entries behind (`prev_seq`, `prev_epoch`), and how far the log is committed."""

    token: int
    prev_seq: int
    prev_epoch: int
    entries: tuple[Entry, ...]
    committed: int


@dataclass(frozen=True, slots=True)
class Promise:
    """A copy's answer to a candidate: where its log stands and which peer sets are in force in it."""

    facts: Facts
    configs: tuple[frozenset[str], ...]


class Log(Protocol):
    """Durable storage of one copy's log; each method is atomic and on disk when it returns."""

    def facts(self) -> Facts:
        """The copy's state."""

    def epoch_at(self, seq: int) -> int | None:
        """Token of entry `seq`; None when the log does not hold it."""

    def promise(self, token: int) -> None:
        """Remember the highest token promised."""

    def replace_tail(self, token: int, entries: Sequence[Entry]) -> None:
        """Promise `token`, drop every entry from the first of `entries` on, append `entries`."""

    def commit(self, seq: int) -> None:
        """Apply entries up to `seq`."""

    def configs(self) -> tuple[frozenset[str], ...]:
        """The peer set that the committed part names, and those that entries behind it bring."""


class Fenced(Exception):
    """The caller's token is lower than one already promised; `promised` is the higher one."""

    def __init__(self, promised: int) -> None:
        super().__init__(f"a master with token {promised} has taken over")
        self.promised = promised


class Gap(Exception):
    """The batch does not join the log; `facts` say where the log stands."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(f"log ends at {facts.last_seq}")
        self.facts = facts


def is_fenced(promised: int, token: int) -> bool:
    """Whether a message under `token` comes from a master that has been deposed."""
    return token < promised


def take_promise(log: Log, token: int) -> Promise:
    """Promise `token` and tell where the log stands; Fenced when a higher one was promised."""
    facts = log.facts()
    if is_fenced(facts.promised, token):
        raise Fenced(facts.promised)
    if token > facts.promised:
        log.promise(token)
    return Promise(replace(facts, promised=max(token, facts.promised)), log.configs())


def accept(log: Log, message: Prepare) -> Facts:
    """Write a batch to the log and commit what the master has committed; Fenced or Gap when it cannot be taken."""
    facts = log.facts()
    if is_fenced(facts.promised, message.token):
        raise Fenced(facts.promised)
    if message.prev_seq > facts.last_seq:
        raise Gap(facts)
    # Below the commit point all logs are equal, whatever token an entry carries there.
    if message.prev_seq > facts.committed and log.epoch_at(message.prev_seq) != message.prev_epoch:
        raise Gap(facts)
    fresh = [entry for entry in message.entries if entry.seq > facts.committed]
    if fresh and not _holds(log, fresh):
        log.replace_tail(message.token, fresh)
    elif message.token > facts.promised:
        log.promise(message.token)
    # Only what this very batch vouches for may be committed: older entries behind it could be another master's.
    vouched = message.entries[-1].seq if message.entries else message.prev_seq
    target = min(message.committed, vouched)
    if target > facts.committed:
        log.commit(target)
    return log.facts()


def _holds(log: Log, entries: Sequence[Entry]) -> bool:
    """Whether the log has exactly these entries: a batch that is late or repeated must not drop what follows it."""
    return all(log.epoch_at(entry.seq) == entry.epoch for entry in entries)


def best_log(answers: Mapping[str, Facts]) -> str:
    """The peer whose log a new master must take: highest token, then longest; ties by what is committed, by name."""

    def rank(peer: str) -> tuple[int, int, int, str]:
        facts = answers[peer]
        return facts.last_epoch, facts.last_seq, facts.committed, peer

    return max(answers, key=rank)


def restamp(entries: Sequence[Entry], token: int) -> tuple[Entry, ...]:
    """The uncommitted end of a log, proposed again under `token`."""
    return tuple(replace(entry, epoch=token) for entry in entries)


def adopt(log: Log, token: int, entries: Sequence[Entry], committed: int) -> None:
    """Take the entries of a better log, from the own commit point on; Fenced when a higher token was promised.

    What is committed there is taken as it is. The rest is taken as one batch under the new token: a part of it with a
    high token would later pass for a better log than the whole with a lower one.
    """
    done = tuple(entry for entry in entries if entry.seq <= committed)
    if done:
        accept(log, Prepare(token, log.facts().committed, 0, done, done[-1].seq))
    rest = restamp([entry for entry in entries if entry.seq > committed], token)
    if rest:
        accept(log, Prepare(token, log.facts().committed, 0, rest, 0))


def configs_in_force(committed: frozenset[str], tail: Sequence[Entry]) -> tuple[frozenset[str], ...]:
    """The peer sets that must each give a majority: the committed one and every one still on its way."""
    return (committed, *(entry.peers for entry in tail if entry.peers is not None))
