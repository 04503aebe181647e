"""What one endpoint shows of the chain: all of it, or less, when a test wants an endpoint that is in trouble."""

from __future__ import annotations

from dataclasses import dataclass

from tfchain.devchain.chain import DevChain
from tfchain.devchain.store import StoredBlock


@dataclass(slots=True)
class Troubles:
    """What is wrong with an endpoint, as users of the public ones met it."""

    lag: int = 0
    """So many blocks behind: it does not know the newest ones."""
    older_state: int = 0
    """Knows the newest blocks, but answers reads of the newest state with one that is so many blocks older."""
    mute: bool = False
    """Takes requests and never answers, but for control methods."""


class View:
    """The chain as one endpoint shows it.  The newest block is `head`."""

    def __init__(self, chain: DevChain, troubles: Troubles) -> None:
        self._chain = chain
        self.troubles = troubles

    @property
    def head(self) -> StoredBlock:
        return self._back(self._chain.head, self.troubles.lag)

    @property
    def finalised(self) -> StoredBlock:
        final, head = self._chain.finalised, self.head
        return final if final.header.number <= head.header.number else head

    @property
    def newest_state(self) -> int:
        """The block after which the state is read when a request names none."""
        return max(self.head.header.number - self.troubles.older_state, self._chain.store.oldest_kept())

    def hash_of(self, number: int) -> bytes | None:
        return self._chain.store.hash_of(number) if number <= self.head.header.number else None

    def number_of(self, block_hash: bytes) -> int | None:
        number = self._chain.store.number_of(block_hash)
        return number if number is not None and number <= self.head.header.number else None

    def block_by_hash(self, block_hash: bytes) -> StoredBlock | None:
        return None if self.number_of(block_hash) is None else self._chain.store.block_by_hash(block_hash)

    def value(self, key: bytes, number: int) -> bytes | None:
        """A value as it was after a block."""
        if number == self._chain.head.header.number:
            return self._chain.state.get(key)
        return self._chain.store.value_at(key, number)

    def _back(self, block: StoredBlock, steps: int) -> StoredBlock:
        if not steps:
            return block
        found = self._chain.store.block(max(0, block.header.number - steps))
        assert found is not None
        return found
