"""Transactions that wait for a block: ready ones, and those whose turn is later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tfchain.devchain.execution import Transaction
from tfchain.devchain.validity import Refused

MOST_WAITING = 4096
MOST_WAITING_OF_ACCOUNT = 256

Watcher = Callable[["Status"], None]
Status = str | dict[str, object]
"""A status as the RPC pushes it."""


@dataclass(slots=True)
class Waiting:
    transaction: Transaction
    watchers: list[Watcher] = field(default_factory=list)

    def tell(self, status: Status) -> None:
        for watcher in self.watchers:
            watcher(status)


class Pool:
    """Waiting transactions by account and nonce."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, dict[int, Waiting]] = {}
        self._hashes: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, transaction: Transaction, account_nonce: int, watcher: Watcher | None) -> bool:
        """Take a validated transaction; whether it is ready now.

        Raises `Refused` for one that is already here, for a nonce that is taken, and when the pool is full.
        """
        if transaction.hash in self._hashes:
            raise Refused(1013, "Transaction Already Imported", "0x" + transaction.hash.hex())
        of_account = self._accounts.setdefault(transaction.account, {})
        taken = of_account.get(transaction.nonce)
        if taken is not None and taken.transaction.tip >= transaction.tip:
            raise Refused(
                1014,
                f"Priority is too low: ({taken.transaction.tip} vs {transaction.tip})",
                "The transaction has too low priority to replace another transaction already in the pool.",
            )
        if len(self._hashes) >= MOST_WAITING or len(of_account) >= MOST_WAITING_OF_ACCOUNT:
            raise Refused(1016, "Immediately Dropped", "The pool is full; submit again after the next block")
        if taken is not None:
            self._hashes.discard(taken.transaction.hash)
            taken.tell({"usurped": "0x" + transaction.hash.hex()})
        waiting = Waiting(transaction, [] if watcher is None else [watcher])
        of_account[transaction.nonce] = waiting
        self._hashes.add(transaction.hash)
        return self._is_ready(of_account, account_nonce, transaction.nonce)

    def put_back(self, waiting: Waiting) -> None:
        """Let a transaction wait again whose block is no more; nothing when its nonce is taken by another."""
        of_account = self._accounts.setdefault(waiting.transaction.account, {})
        if of_account.setdefault(waiting.transaction.nonce, waiting) is waiting:
            self._hashes.add(waiting.transaction.hash)

    def clear(self) -> list[Waiting]:
        """Take out everything."""
        found = [waiting for of_account in self._accounts.values() for waiting in of_account.values()]
        self._accounts.clear()
        self._hashes.clear()
        return found

    def ready(self, nonce_of: Callable[[bytes], int]) -> list[Waiting]:
        """Those that a block can take now, each account's in order of nonce."""
        return [waiting for account in self._accounts for waiting in self._run(account, nonce_of(account))]

    def next_nonce(self, account: bytes, account_nonce: int) -> int:
        """The nonce after those of the account that are ready."""
        of_account = self._accounts.get(account, {})
        while account_nonce in of_account:
            account_nonce += 1
        return account_nonce

    def remove(self, transaction: Transaction) -> Waiting | None:
        of_account = self._accounts.get(transaction.account, {})
        waiting = of_account.get(transaction.nonce)
        if waiting is None or waiting.transaction.hash != transaction.hash:
            return None
        del of_account[transaction.nonce]
        self._hashes.discard(transaction.hash)
        if not of_account:
            del self._accounts[transaction.account]
        return waiting

    def drop_outdated(self, account: bytes, account_nonce: int) -> list[Waiting]:
        """Take out what can never be included any more."""
        dead = [w for nonce, w in self._accounts.get(account, {}).items() if nonce < account_nonce]
        for waiting in dead:
            self.remove(waiting.transaction)
        return dead

    def encoded(self) -> list[bytes]:
        return [w.transaction.encoded for of in self._accounts.values() for w in of.values()]

    def _run(self, account: bytes, nonce: int) -> Iterator[Waiting]:
        of_account = self._accounts[account]
        while (waiting := of_account.get(nonce)) is not None:
            yield waiting
            nonce += 1

    @staticmethod
    def _is_ready(of_account: dict[int, Waiting], account_nonce: int, nonce: int) -> bool:
        return all(number in of_account for number in range(account_nonce, nonce))
