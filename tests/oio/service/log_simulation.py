"""One base with five copies, masters that come and go, and a network that loses, repeats and reorders.

The decisions are those of `oio.service.replica` and `oio.service.quorum`; only storage and network are played. The
model is one dict: entry number -> change, written when a master learns that its entry is committed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from oio.service import quorum, replica
from oio.service.replica import Entry, Facts, Fenced, Gap, Prepare


class MemoryLog:
    """A copy's durable log, in memory; `applied` is what its data show."""

    def __init__(self) -> None:
        self.promised = 0
        self.committed = 0
        self.kept: list[Entry] = []

    def facts(self) -> Facts:
        last = self.kept[-1] if self.kept else None
        return Facts(self.promised, self.committed, last.seq if last else 0, last.epoch if last else 0)

    def epoch_at(self, seq: int) -> int | None:
        if seq == 0:
            return 0
        return self.kept[seq - 1].epoch if seq <= len(self.kept) else None

    def promise(self, token: int) -> None:
        self.promised = max(self.promised, token)

    def replace_tail(self, token: int, entries: Sequence[Entry]) -> None:
        self.promised = max(self.promised, token)
        del self.kept[entries[0].seq - 1 :]
        self.kept.extend(entries)

    def commit(self, seq: int) -> None:
        self.committed = max(self.committed, seq)


@dataclass
class Master:
    """What a master knows; it is lost when its process dies and stays, unaware, while its process is frozen."""

    peer: str
    token: int
    answers: dict[str, Facts] = field(default_factory=dict)
    ready: bool = False
    acknowledged: dict[int, set[str]] = field(default_factory=dict)


class Diverged(AssertionError):
    """An acknowledged change was lost or replaced."""


class Simulation:
    """One history, wholly determined by `seed`."""

    def __init__(self, seed: int, copies: int = 5) -> None:
        self.chance = random.Random(seed)
        self.peers = [f"p{n}" for n in range(copies)]
        self.config = frozenset(self.peers)
        self.logs = {peer: MemoryLog() for peer in self.peers}
        self.masters: list[Master] = []
        self.network: list[tuple[Master, str, str, Prepare | None]] = []
        self.model: dict[int, bytes] = {}
        self.token = 0
        self.written = 0

    def run(self, steps: int) -> int:
        """Play `steps` steps; how many changes were acknowledged. Raises Diverged."""
        acts = [self.elect, self.write, self.write, *[self.deliver] * 8, self.lose, self.repeat, self.crash]
        for _ in range(steps):
            self.chance.choice(acts)()
            self.check()
        return len(self.model)

    def elect(self) -> None:
        """Another lease holder appears; the former one is not told (a freeze, a partition)."""
        self.token += 1
        master = Master(self.chance.choice(self.peers), self.token)
        self.masters = [*self.masters[-2:], master]
        self.network += [(master, peer, "promise", None) for peer in self.peers]

    def write(self) -> None:
        ready = [master for master in self.masters if master.ready]
        if not ready:
            return
        master = self.chance.choice(ready)
        log = self.logs[master.peer]
        facts = log.facts()
        self.written += 1
        change = f"{self.written}".encode()
        self.send(master, facts.last_seq, (Entry(facts.last_seq + 1, master.token, change),))

    def send(self, master: Master, prev_seq: int, entries: tuple[Entry, ...]) -> None:
        log = self.logs[master.peer]
        prev_epoch = log.epoch_at(prev_seq) or 0
        message = Prepare(master.token, prev_seq, prev_epoch, entries, log.committed)
        self.take(master, master.peer, message)
        self.network += [(master, peer, "prepare", message) for peer in self.peers if peer != master.peer]

    def deliver(self) -> None:
        if not self.network:
            return
        master, peer, kind, message = self.network.pop(self.chance.randrange(len(self.network)))
        if kind == "promise":
            self.promised(master, peer)
        elif message is not None:
            self.take(master, peer, message)

    def promised(self, master: Master, peer: str) -> None:
        try:
            answer = replica.take_promise(self.logs[peer], master.token)
        except Fenced:
            return
        if master.ready or master not in self.masters:
            return
        master.answers[peer] = answer
        if not quorum.reached(master.answers, (self.config,)) or master.peer not in master.answers:
            return
        best = self.logs[replica.best_log(master.answers)]
        own = self.logs[master.peer]
        # The copy read now may have moved on since it answered; what it had then is still there or is fenced off.
        tail = replica.restamp(best.kept[own.committed :], master.token)
        master.ready = True
        if tail:
            self.send(master, own.committed, tail)

    def take(self, master: Master, peer: str, message: Prepare) -> None:
        try:
            replica.accept(self.logs[peer], message)
        except Fenced:
            if master in self.masters:
                self.masters.remove(master)
            return
        except Gap as gap:
            source = self.logs[master.peer]
            first = gap.facts.committed
            if master in self.masters and first < len(source.kept):
                entries = tuple(source.kept[first:])
                catch_up = Prepare(
                    master.token, first, source.epoch_at(first) or 0, entries, source.committed
                )
                self.network.append((master, peer, "prepare", catch_up))
            return
        if master not in self.masters:
            return
        for entry in message.entries:
            if entry.epoch == master.token:
                master.acknowledged.setdefault(entry.seq, set()).add(peer)
                self.commit(master, entry)

    def commit(self, master: Master, entry: Entry) -> None:
        if quorum.decide(master.acknowledged[entry.seq], (), (self.config,)) is not quorum.Verdict.COMMIT:
            return
        log = self.logs[master.peer]
        if log.epoch_at(entry.seq) != master.token:
            return
        for kept in log.kept[log.committed : entry.seq]:
            if self.model.setdefault(kept.seq, kept.change) != kept.change:
                raise Diverged(f"entry {kept.seq}: {kept.change!r} after {self.model[kept.seq]!r}")
        log.commit(entry.seq)

    def lose(self) -> None:
        if self.network:
            self.network.pop(self.chance.randrange(len(self.network)))

    def repeat(self) -> None:
        if self.network:
            self.network.append(self.chance.choice(self.network))

    def crash(self) -> None:
        """A process dies and comes back with what was on its disk."""
        peer = self.chance.choice(self.peers)
        self.masters = [master for master in self.masters if master.peer != peer]

    def check(self) -> None:
        """Every copy shows a beginning of the acknowledged history, and nothing else."""
        for peer, log in self.logs.items():
            for entry in log.kept[: log.committed]:
                if self.model.get(entry.seq) != entry.change:
                    raise Diverged(f"{peer} shows {entry.change!r} as {entry.seq}")
