"""What machines send and receive over their public addresses, reported to the chain by the hour (engine §8.3).

Everything is in the journal, in one note that is replaced as a whole: the counters' last values, what is not reported
yet, and the report that is on its way.  A report counts once: one whose end is not known (the daemon died, the
connection broke) is sent again only for contracts in which the chain does not show its time stamp.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

import structlog

from gridtypes import ContractId, WorkloadId
from tfchain import Chain, ChainError, ChainUnavailable, OutcomeUnknown
from tfchain.keys import Identity
from tfchain.models import NruConsumption
from zosd.chainlife.notes import TRAFFIC
from zosd.clock import Clock
from zosd.journal.journal import Journal

log = structlog.get_logger(__name__)

SAMPLE_EVERY = 300.0
"""Seconds."""
MOST_IN_ONE_CALL = 100
LONGEST_ERA = 128
"""Blocks for which something that was signed can get into a block."""

Counters = Callable[[], Awaitable[Mapping[WorkloadId, int]]]
"""Bytes sent and received by each public address since its interface was made."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the note holds."""

    last: Mapping[str, int] = field(default_factory=dict)
    """Counter of each workload at the last look."""
    pending: Mapping[int, int] = field(default_factory=dict)
    """Bytes of each contract that are in no report yet."""
    since: float = 0.0
    """Unix time of the last report; 0 before the first look."""
    sending: tuple[tuple[int, int, int, int], ...] = ()
    """(contract, time stamp, window, bytes) of the report that is on its way."""

    def encoded(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def decoded(cls, note: bytes | None) -> Books:
        if note is None:
            return cls()
        raw = json.loads(note)
        return cls(
            last=raw["last"],
            pending={int(contract): count for contract, count in raw["pending"].items()},
            since=raw["since"],
            sending=tuple((a, b, c, d) for a, b, c, d in raw["sending"]),
        )


def sampled(books: Books, counters: Mapping[WorkloadId, int], now: float) -> Books:
    """The books after a look at the counters.  Pure.

    A smaller value than before means that the interface was made anew: the value itself is the increase.  The first
    value of a workload gives no increase; a workload that is gone takes its counter with it, not its bytes.
    """
    pending = dict(books.pending)
    for id, value in counters.items():
        before = books.last.get(str(id))
        if before is not None and (increase := value - before if value >= before else value):
            pending[id.contract] = pending.get(id.contract, 0) + increase
    last = {str(id): value for id, value in counters.items()}
    return replace(books, last=last, pending=pending, since=books.since or now)


def taken_out(books: Books, now: float) -> Books:
    """The books after what is pending was put on its way.  Pure."""
    window = max(1, int(now - books.since))
    sending = tuple(
        (contract, int(now), window, count) for contract, count in sorted(books.pending.items()) if count
    )
    return replace(books, pending={}, since=now, sending=sending)


class Traffic:
    def __init__(
        self,
        chain: Chain,
        key: Identity,
        journal: Journal,
        clock: Clock,
        counters: Counters,
        period: float,
        retry: float,
    ) -> None:
        """`period` and `retry` in seconds."""
        self._chain = chain
        self._key = key
        self._journal = journal
        self._clock = clock
        self._counters = counters
        self._period = period
        self._retry = retry
        self._books = Books.decoded(journal.ledger.note(TRAFFIC))
        self._unknown = bool(self._books.sending)
        """The report that is on its way may have arrived, or may still arrive."""
        self._settled_at: int | None = None
        """Block from which on it cannot arrive any more."""

    async def run(self) -> None:
        while True:
            pause = min(SAMPLE_EVERY, self._period)
            try:
                await self.look()
                await self.report()
            except (ChainUnavailable, ChainError) as error:
                log.warning("traffic report failed, tried again", why=str(error), after=self._retry)
                pause = self._retry
            await self._clock.sleep(pause)

    async def look(self) -> None:
        """Take down what the counters say."""
        await self._keep(sampled(self._books, await self._counters(), self._clock.time()))

    async def report(self) -> None:
        """Finish a report that is on its way; begin one when it is time.  Raises ChainUnavailable, ChainError."""
        if not self._books.sending:
            now = self._clock.time()
            if not self._books.since or now - self._books.since < self._period:
                return
            await self._keep(taken_out(self._books, now))
        if self._unknown:
            await self._wait_until_settled()
            await self._keep(replace(self._books, sending=await self._not_counted()))
            self._unknown = False
        while self._books.sending:
            batch, rest = self._books.sending[:MOST_IN_ONE_CALL], self._books.sending[MOST_IN_ONE_CALL:]
            try:
                await self._send(batch)
            except OutcomeUnknown as error:
                self._unknown, self._settled_at = True, error.valid_until
                raise
            await self._keep(replace(self._books, sending=rest))

    async def _wait_until_settled(self) -> None:
        """Raises ChainUnavailable while an earlier try may still get into a block."""
        height = (await self._chain.head()).number
        if self._settled_at is None:
            self._settled_at = height + LONGEST_ERA
        if height < self._settled_at:
            raise ChainUnavailable(
                f"an earlier report may still be included up to block {self._settled_at}, it is {height}"
            )
        self._settled_at = None

    async def _not_counted(self) -> tuple[tuple[int, int, int, int], ...]:
        left = []
        for entry in self._books.sending:
            if await self._chain.last_traffic_report(ContractId(entry[0])) < entry[1]:
                left.append(entry)
        return tuple(left)

    async def _send(self, batch: tuple[tuple[int, int, int, int], ...]) -> None:
        """One call for all; when the chain refuses it, one for each, so that a bad one does not stop the others."""
        reports = [NruConsumption(ContractId(contract), *rest) for contract, *rest in batch]
        try:
            await self._chain.report_network_use(self._key, reports)
        except OutcomeUnknown:
            raise
        except ChainError as error:
            if len(batch) == 1:
                log.warning("traffic report refused, left out", contract=batch[0][0], why=str(error))
                return
            for entry in batch:
                await self._send((entry,))

    async def _keep(self, books: Books) -> None:
        if books != self._books:
            await self._journal.put_note(TRAFFIC, books.encoded())
            self._books = books
