"""The development chain at work: takes transactions, seals blocks, tells who listens.

Everything runs in one event loop; a block is on the disk before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tfchain.codec.header import Header
from tfchain.devchain import genesis as genesis_block
from tfchain.devchain.context import GRACE_BLOCKS
from tfchain.devchain.execution import NOW, BuiltBlock, Rules, Transaction, build_block
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.interface import Call, Interface
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.table import TABLE, check_against
from tfchain.devchain.pool import Pool, Waiting, Watcher
from tfchain.devchain.state import Changes, Reading, Snapshot
from tfchain.devchain.store import Store, StoredBlock, StoreError
from tfchain.devchain.validity import Refused, check_payable, read_transaction
from tfchain.devchain.versions import Versions

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


class NothingToReorganise(ValueError):
    """There are not so many blocks that are not final."""


BlockListener = Callable[[NewBlock], None]
HeaderListener = Callable[[Header, bytes], None]


class DevChain:
    """One chain over one database."""

    def __init__(
        self,
        store: Store,
        genesis: Genesis,
        *,
        keep_blocks: int = 0,
        bills: bool = True,
        block_time: float | None = None,
    ) -> None:
        """`block_time` in seconds makes a block that often; None makes one whenever there is something for it.

        Raises StoreError for a database of another chain, GenesisError.
        """
        self.store = store
        self.versions = Versions(store)
        check_against(self.interface, TABLE)
        self.pool = Pool()
        self.mode = BuildMode.INSTANT if block_time is None else BuildMode.BATCH
        self.block_time = block_time or BATCH_S
        self.keep_blocks = keep_blocks
        """State of so many blocks is kept; 0 for all."""
        self.finality_delay = FINALITY_DELAY_S
        self.clock_offset_ms = int(store.meta("clock_offset_ms") or 0)
        self.block_listeners: list[BlockListener] = []
        self.finalised_listeners: list[HeaderListener] = []
        self.version_listeners: list[Callable[[], None]] = []
        self._rules = Rules(
            self.interface,
            TABLE,
            genesis_block.account_of(genesis.author),
            bills,
            int(store.meta("grace_blocks") or GRACE_BLOCKS),
        )
        if store.head() is None:
            block, changes = genesis_block.make(self.interface, genesis)
            file = genesis.model_dump_json(exclude_defaults=True, exclude={"storage"})
            store.commit(block, changes, {"genesis": genesis.digest, "genesis_file": file})
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
        self._not_final: dict[int, tuple[StoredBlock, list[Waiting]]] = {}
        """Blocks that may still be replaced, with those who watch their transactions."""
        self._not_before_ms = 0
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
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
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
        return self.block_time if self.mode is BuildMode.BATCH else HEARTBEAT_S

    def set_mode(self, mode: BuildMode) -> None:
        self.mode = mode
        self._wake.set()

    def close(self) -> None:
        self.store.close()

    # -- settings ---------------------------------------------------------------------------------------------

    @property
    def interface(self) -> Interface:
        """The interface of the spec version that is in force."""
        return self.versions.current

    def set_clock_offset(self, milliseconds: int) -> None:
        """Let the chain clock differ from the wall clock; kept over restarts."""
        self.clock_offset_ms = milliseconds
        self.store.set_meta({"clock_offset_ms": str(milliseconds)})

    def set_grace_blocks(self, blocks: int) -> None:
        """Set the length of grace; kept over restarts."""
        self._rules = replace(self._rules, grace_blocks=blocks)
        self.store.set_meta({"grace_blocks": str(blocks)})

    def upgrade(self, spec_version: int) -> None:
        """Go on under another spec version, from the next block on, which is sealed at once.

        What waits was signed for the former version and is dropped.
        """
        self._rules = replace(
            self._rules, interface=self.versions.upgrade(self.head.header.number + 1, spec_version)
        )
        for waiting in self.pool.clear():
            waiting.tell("dropped")
        self.seal([])
        for listener in tuple(self.version_listeners):
            listener()

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
        bill: Sequence[int] = (),
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
            bill=bill,
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
        return max(self.now_ms(), NOW.get(Reading(self.state)) + 1, self._not_before_ms)

    def reorganise(self, depth: int, *, keep_transactions: bool) -> None:
        """Replace the last `depth` blocks, none of them final, by `depth` + 1 others.

        Their transactions wait again, or are gone when `keep_transactions` is false; what control methods wrote into
        the blocks is gone.  Raises NothingToReorganise.
        """
        most = self.head.header.number - self.finalised.header.number
        if not 1 <= depth <= most:
            raise NothingToReorganise(f"depth {depth}: {most} blocks are not final")
        fork = self.head.header.number - depth
        dropped = [self._block(number) for number in range(fork + 1, self.head.header.number + 1)]
        self._not_before_ms = NOW.get(Reading(self.state)) + 1  # the others have hashes of their own
        self.store.revert(fork)
        self.versions.forget_after(fork)
        self._rules = replace(self._rules, interface=self.interface)
        self.head = self._block(fork)
        self.state = Snapshot(self.store.newest_values())
        for block in dropped:
            self._retract(block, keep_transactions)
        for _ in range(depth + 1):
            self.seal()

    def _retract(self, block: StoredBlock, keep: bool) -> None:
        """Tell the watchers of a dropped block's transactions, and let those wait again that were not watched too."""
        _, watchers = self._not_final.pop(block.header.number)
        watched = {waiting.transaction.hash: waiting for waiting in watchers}
        for waiting in watched.values():
            waiting.tell({"retracted": "0x" + block.hash.hex()})
            if not keep:
                waiting.tell("dropped")
        if not keep:
            return
        for encoded in block.body[1:]:
            try:
                transaction = read_transaction(
                    self.interface,
                    encoded,
                    self.head.header.number,
                    self.genesis_hash,
                    self.store.hash_of,
                )
                self.pool.put_back(watched.get(transaction.hash) or Waiting(transaction))
            except Refused as refused:
                log.info("a transaction of a dropped block is gone: %s", refused)

    def _block(self, number: int) -> StoredBlock:
        found = self.store.block(number)
        assert found is not None
        return found

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
        self._not_final[built.header.number] = (self.head, included)
        for waiting in included:
            waiting.tell({"inBlock": text})
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the first block, sealed before the loop runs
            self._finalise(self.head)
            return
        loop.call_later(self.finality_delay, self._finalise, self.head)

    def _finalise(self, block: StoredBlock) -> None:
        """Make a block and those before it final, unless another has taken its place."""
        last, _ = self._not_final.get(block.header.number, (None, ()))
        if last is not block:
            return
        for number in range(self.finalised.header.number + 1, block.header.number + 1):
            final, watchers = self._not_final.pop(number)
            self.finalised = final
            for waiting in watchers:
                waiting.tell({"finalized": "0x" + final.hash.hex()})
            for listener in tuple(self.finalised_listeners):
                listener(final.header, final.hash)

    def _prune(self, number: int) -> None:
        if self.keep_blocks and number % PRUNE_EVERY == 0 and number > self.keep_blocks:
            self.store.prune(number - self.keep_blocks)
