"""One base with six copies, masters that come and go, peers that change, and a network that loses and reorders.

The decisions are those of `oio.service.replica`, `oio.service.mastership` and `oio.service.quorum`; only storage,
leases and network are played. The model is one dict: entry number -> change, written when a master learns that its
entry is committed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from oio.service import quorum, replica
from oio.service.mastership import Mastership, catch_up
from oio.service.replica import Entry, Facts, Fenced, Gap, Prepare


class MemoryLog:
    """A copy's durable log, in memory; `applied` is what its data show."""

    def __init__(self, peers: frozenset[str]) -> None:
        self.promised = 0
        self.committed = 0
        self.kept: list[Entry] = []
        self.first_peers = peers

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

    def peers(self) -> frozenset[str]:
        """The peers that the committed part names."""
        named = [entry.peers for entry in self.kept[: self.committed] if entry.peers is not None]
        return named[-1] if named else self.first_peers

    def configs(self) -> tuple[frozenset[str], ...]:
        return replica.configs_in_force(self.peers(), self.kept[self.committed :])


@dataclass(eq=False)
class Term:
    """A mastership, whom it asked for promises; it serves once its log is committed up to `barrier`."""

    office: Mastership
    asked: frozenset[str]
    barrier: int = 0

    @property
    def peers(self) -> frozenset[str]:
        """The peers whose lease was taken."""
        return self.office.peers


@dataclass(frozen=True)
class Message:
    """Something on its way to a peer: a batch, or (None) the question for a promise."""

    term: Term
    peer: str
    batch: Prepare | None


class Diverged(AssertionError):
    """An acknowledged change was lost, replaced or not seen."""


class Simulation:
    """One history, wholly determined by `seed`."""

    def __init__(self, seed: int, copies: int = 6) -> None:
        self.chance = random.Random(seed)
        self.names = [f"p{n}" for n in range(copies)]
        first = frozenset(self.chance.sample(self.names, self.chance.choice((3, 4, 5))))
        self.logs = {name: MemoryLog(first) for name in self.names}
        self.terms: list[Term] = []
        self.leases: dict[frozenset[str], Term] = {}
        self.network: list[Message] = []
        self.cut: set[str] = set()
        self.model: dict[int, bytes] = {}
        self.token = 0
        self.written = 0
        self.reads = 0

    def run(self, steps: int) -> int:
        """Play `steps` steps; how many changes were acknowledged. Raises Diverged."""
        often = [self.deliver] * 12 + [self.write] * 3 + [self.read]
        acts = [*often, self.elect, self.expire, self.lose, self.repeat, self.crash, self.partition]
        for _ in range(steps):
            self.chance.choice(acts)()
            self.check()
        return len(self.model)

    # -- leases and elections

    def elect(self) -> None:
        """A peer takes the lease of its peers, if it is free; the former holder may still believe in its own."""
        peer = self.chance.choice(self.names)
        log = self.logs[peer]
        if peer not in log.peers() or not self.is_here(log, peer) or log.peers() in self.leases:
            return
        self.token += 1
        term = Term(Mastership(peer, self.token, log.peers()), log.peers())
        self.leases[term.peers] = term
        self.terms = [*self.terms[-3:], term]
        self.network += [Message(term, name, None) for name in sorted(term.peers)]

    def expire(self) -> None:
        """A lease runs out. Its holder stands still: it goes on later as if nothing had been."""
        if self.leases:
            del self.leases[self.chance.choice(list(self.leases))]

    def is_here(self, log: MemoryLog, peer: str) -> bool:
        """Whether a peer has the base: those of the beginning have it, others once they were brought a part."""
        return peer in log.first_peers or bool(log.kept)

    def promised(self, term: Term, peer: str) -> None:
        log = self.logs[peer]
        if (
            term not in self.terms
            or not self.is_here(log, peer)
            or term.office.peer not in quorum.everyone(log.configs())
        ):
            return
        try:
            promise = replica.take_promise(log, term.office.token)
        except Fenced:
            return
        best = term.office.promised(peer, promise)
        if best is None:
            others = quorum.everyone(term.office.configs) - term.asked
            term.asked |= others
            self.network += [Message(term, name, None) for name in sorted(others)]
            return
        own, there = self.logs[term.office.peer], term.office.promises[best].facts
        # The log read now may have moved on since it answered; what it had then is still there or is fenced off.
        try:
            replica.adopt(own, term.office.token, self.logs[best].kept[own.committed :], there.committed)
        except Fenced:
            self.terms.remove(term)
            return
        own.commit(min(there.committed, own.facts().last_seq))
        if own.peers() != term.peers:
            self.end(term)
            return
        term.office.ready = True
        term.barrier = own.facts().last_seq
        tail = replica.restamp(own.kept[own.committed :], term.office.token)
        if tail:
            self.propose(term, own.committed, tail)

    def end(self, term: Term) -> None:
        if term in self.terms:
            self.terms.remove(term)
        if self.leases.get(term.peers) is term:
            del self.leases[term.peers]

    # -- writing and reading

    def write(self) -> None:
        """A master writes a change, now and then one of its peers, whether it still has its lease or not."""
        ready = [term for term in self.terms if term.office.ready]
        if not ready:
            return
        term = self.chance.choice(ready)
        log = self.logs[term.office.peer]
        if log.committed < log.facts().last_seq:
            return
        self.written += 1
        peers = None
        if self.chance.random() < 0.15:
            peers = frozenset(self.chance.sample(self.names, self.chance.choice((3, 4, 5))))
        seq = log.facts().last_seq + 1
        entry = Entry(seq, term.office.token, f"{self.written}".encode(), peers)
        self.propose(term, seq - 1, (entry,))

    def propose(self, term: Term, prev_seq: int, entries: tuple[Entry, ...]) -> None:
        log, own = self.logs[term.office.peer], term.office.peer
        batch = Prepare(term.office.token, prev_seq, log.epoch_at(prev_seq) or 0, entries, log.committed)
        others = quorum.everyone(replica.configs_in_force(log.peers(), entries)) - {own}
        self.take(term, own, batch)
        self.network += [Message(term, name, batch) for name in sorted(others)]

    def read(self) -> None:
        """A master that has its lease and has settled its log shows everything that was acknowledged."""
        holders = [term for term in self.leases.values() if term in self.terms and term.office.ready]
        for term in holders:
            log = self.logs[term.office.peer]
            if log.committed >= term.barrier and log.peers() == term.peers:
                self.reads += 1
                if log.committed < max(self.model, default=0):
                    raise Diverged(f"{term.office.peer} does not show entry {max(self.model)}")

    def take(self, term: Term, peer: str, batch: Prepare) -> None:
        try:
            replica.accept(self.logs[peer], batch)
        except Fenced:
            self.end(term)
            return
        except Gap as gap:
            self.bring_up(term, peer, gap.facts)
            return
        if term in self.terms:
            self.acknowledged(term, peer, batch)

    def bring_up(self, term: Term, peer: str, there: Facts) -> None:
        source = self.logs[term.office.peer]
        if term not in self.terms or source.promised != term.office.token:
            return
        batch = catch_up(term.office.token, there, source.kept[there.committed :], source.committed)
        if batch is not None:
            self.network.append(Message(term, peer, batch))

    def acknowledged(self, term: Term, peer: str, batch: Prepare) -> None:
        log = self.logs[term.office.peer]
        configs = replica.configs_in_force(log.peers(), log.kept[log.committed :])
        verdict, last = term.office.accepted(peer, batch.entries, (), configs)
        if verdict is not quorum.Verdict.COMMIT or log.epoch_at(last) != term.office.token:
            return
        for kept in log.kept[log.committed : last]:
            if self.model.setdefault(kept.seq, kept.change) != kept.change:
                raise Diverged(f"entry {kept.seq}: {kept.change!r} after {self.model[kept.seq]!r}")
        log.commit(last)
        term.office.forget(last)
        everyone = quorum.everyone(configs) - {term.office.peer}
        told = Prepare(term.office.token, last, term.office.token, (), last)
        self.network += [Message(term, name, told) for name in sorted(everyone)]
        if log.peers() != term.peers:
            self.end(term)

    # -- the network and the processes

    def deliver(self) -> None:
        if not self.network:
            return
        message = self.network.pop(self.chance.randrange(len(self.network)))
        ends = {message.peer, message.term.office.peer}
        if len(ends & self.cut) == 1:
            return
        if message.batch is None:
            self.promised(message.term, message.peer)
        else:
            self.take(message.term, message.peer, message.batch)

    def lose(self) -> None:
        if self.network:
            self.network.pop(self.chance.randrange(len(self.network)))

    def repeat(self) -> None:
        if self.network:
            self.network.append(self.chance.choice(self.network))

    def partition(self) -> None:
        """Some copies reach only each other, or all do again."""
        self.cut = set() if self.cut else set(self.chance.sample(self.names, self.chance.choice((1, 2, 3))))

    def crash(self) -> None:
        """A process dies and comes back with what was on its disk."""
        peer = self.chance.choice(self.names)
        self.terms = [term for term in self.terms if term.office.peer != peer]

    def check(self) -> None:
        """Every copy shows a beginning of the acknowledged history, and nothing else."""
        for peer, log in self.logs.items():
            for entry in log.kept[: log.committed]:
                if self.model.get(entry.seq) != entry.change:
                    raise Diverged(f"{peer} shows {entry.change!r} as {entry.seq}")
