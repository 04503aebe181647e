"""The development chain at work: takes transactions, seals blocks, tells who listens.

Everything runs in one event loop; a block is on the disk before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from tfchain.codec.header import Header
from tfchain.devchain import genesis as genesis_block
from tfchain.devchain.execution import NOW, BuiltBlock, Rules, Transaction, build_block
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.interface import Call, Interface, interface
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.table import TABLE, check_against
from tfchain.devchain.pool import Pool, Watcher
from tfchain.devchain.state import Changes, Reading, Snapshot
from tfchain.devchain.store import Store, StoredBlock, StoreError
from tfchain.devchain.validity import check_payable, read_transaction

HEARTBEAT_S = 5.0
"""A block comes at most so long after the last one (decision 29)."""
GATHER_S = 0.003
"""Submissions that arrive within this go into one block."""
FINALITY_DELAY_S = 0.4
"""Between `inBlock` and `finalized`; without it some clients never see the first."""
BATCH_S = 6.0
MOST_IN_BLOCK = 512
MOST_SEALED_AT_ONCE = 1_000_000
PRUNE_EVERY = 256
"""Blocks between two prunings, when pruning is asked for."""

log = logging.getLogger(__name__)


class BuildMode(Enum):
    """When blocks are made."""

    INSTANT = "Instant"
    BATCH = "Batch"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block that was just sealed, for those who listen."""

    header: Header
    hash: bytes
    changes: Changes


BlockListener = Callable[[NewBlock], None]
HeaderListener = Callable[[Header, bytes], None]


class DevChain:
    """One chain over one database."""

    def __init__(self, store: Store, genesis: Genesis, *, keep_blocks: int = 0, bills: bool = True) -> None:
        self.store = store
        self.interface: Interface = interface()
        check_against(self.interface, TABLE)
        self.pool = Pool()
        self.mode = BuildMode.INSTANT
        self.keep_blocks = keep_blocks
        """State of so many blocks is kept; 0 for all."""
        self.finality_delay = FINALITY_DELAY_S
        self.clock_offset_ms = int(store.meta("clock_offset_ms") or 0)
        self.block_listeners: list[BlockListener] = []
        self.finalised_listeners: list[HeaderListener] = []
        self._rules = Rules(self.interface, TABLE, genesis_block.account_of(genesis.author), bills)
        if store.head() is None:
            block, changes = genesis_block.make(self.interface, genesis)
            store.commit(block, changes, {"genesis": genesis.digest})
        elif store.meta("genesis") not in (None, genesis.digest):
            raise StoreError(
                f"{store.path} was made with another genesis; give that one, or another --state for a new chain"
            )
        first, head = store.hash_of(0), store.head()
        assert first is not None
        assert head is not None
        self.genesis_hash = first
        self.state = Snapshot(store.newest_values())
        self.head = head
        self.finalised = head
        """What was committed before a stop counts as final: there is no other branch."""
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        if head.header.number == 0:
            self.seal([])

    # -- time -------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Chain clock: the wall clock plus the offset of the control methods."""
        return time.time_ns() // 1_000_000 + self.clock_offset_ms

    # -- running ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Seal blocks until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._pause())
            except TimeoutError:
                pass
            self._wake.clear()
            if self.mode is BuildMode.INSTANT and len(self.pool):
                await asyncio.sleep(GATHER_S)
            if self.mode is not BuildMode.MANUAL:
                self.seal()

    def _pause(self) -> float | None:
        if self.mode is BuildMode.MANUAL:
            return None
        return BATCH_S if self.mode is BuildMode.BATCH else HEARTBEAT_S

    def set_mode(self, mode: BuildMode) -> None:
        self.mode = mode
        self._wake.set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.store.close()

    # -- transactions -----------------------------------------------------------------------------------------

    def submit(self, encoded: bytes, watcher: Watcher | None = None) -> Transaction:
        """Check a submitted extrinsic and let it wait for a block.  Raises `Refused`."""
        transaction = read_transaction(
            self.interface, encoded, self.head.header.number, self.genesis_hash, self.store.hash_of
        )
        nonce = check_payable(transaction, self.state)
        ready = self.pool.add(transaction, nonce, watcher)
        if watcher is not None:
            watcher("ready" if ready else "future")
        if self.mode is BuildMode.INSTANT and ready:
            self._wake.set()
        return transaction

    def nonce_of(self, account: bytes) -> int:
        return funds.ACCOUNTS.get(Reading(self.state), account).nonce

    def next_nonce(self, account: bytes) -> int:
        """The account's nonce after what waits in the pool."""
        return self.pool.next_nonce(account, self.nonce_of(account))

    # -- blocks -----------------------------------------------------------------------------------------------

    def seal(
        self,
        transactions: Sequence[Transaction] | None = None,
        *,
        privileged: Sequence[Call] = (),
        writes: Changes | None = None,
    ) -> BuiltBlock:
        """Build the next block of what waits, commit it, and tell everybody."""
        if transactions is None:
            transactions = [waiting.transaction for waiting in self.pool.ready(self.nonce_of)][:MOST_IN_BLOCK]
        built = build_block(
            self._rules,
            self.head.header,
            self.state,
            self._block_time(),
            transactions,
            privileged=privileged,
            writes=writes,
        )
        stored = StoredBlock(built.header, built.hash, built.body)
        self.store.commit(stored, built.changes)
        self.state.apply(built.changes)
        self.head = stored
        self._prune(built.header.number)
        block = NewBlock(built.header, built.hash, built.changes)
        for listener in tuple(self.block_listeners):
            listener(block)
        self._settle(built, transactions)
        if len(self.pool.ready(self.nonce_of)) and self.mode is BuildMode.INSTANT:
            self._wake.set()
        return built

    def _block_time(self) -> int:
        """Strictly after the last block's, and never ahead of the chain clock by more than that needs."""
        return max(self.now_ms(), NOW.get(Reading(self.state)) + 1)

    def _settle(self, built: BuiltBlock, transactions: Sequence[Transaction]) -> None:
        """Tell the watchers of included transactions, now and when the block is final."""
        skipped = {transaction.hash for transaction in built.skipped}
        included = [
            waiting
            for transaction in transactions
            if transaction.hash not in skipped and (waiting := self.pool.remove(transaction)) is not None
        ]
        for transaction in built.skipped:
            if (dropped := self.pool.remove(transaction)) is not None:
                dropped.tell("dropped")  # some clients wait for ever on "invalid"
        for account in {transaction.account for transaction in transactions}:
            for outdated in self.pool.drop_outdated(account, self.nonce_of(account)):
                outdated.tell("dropped")
        text = "0x" + built.hash.hex()
        for waiting in included:
            waiting.tell({"inBlock": text})

        def finalise() -> None:
            stored = self.store.block(built.header.number)
            if stored is None or stored.hash != built.hash:
                return
            self.finalised = stored
            for waiting in included:
                waiting.tell({"finalized": text})
            for listener in tuple(self.finalised_listeners):
                listener(built.header, built.hash)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the first block, sealed before the loop runs
            finalise()
            return
        loop.call_later(self.finality_delay, finalise)

    def _prune(self, number: int) -> None:
        if self.keep_blocks and number % PRUNE_EVERY == 0 and number > self.keep_blocks:
            self.store.prune(number - self.keep_blocks)
