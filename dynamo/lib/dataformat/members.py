"""Which block replicas of a site belong to a partition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.datasetreplica import DatasetReplica


class Members(Mapping["DatasetReplica", "set[BlockReplica] | None"]):
    """Members by dataset replica: None when all of its block replicas belong, else the set of those that do.

    A set is made anew whenever somebody asks; what is kept is one bit for each block of the dataset.
    """

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits: dict[DatasetReplica, int | None] = {}

    def __getitem__(self, replica: DatasetReplica) -> set[BlockReplica] | None:
        bits = self._bits[replica]
        return None if bits is None else replica.members(bits)

    def __iter__(self) -> Iterator[DatasetReplica]:
        return iter(self._bits)

    def __len__(self) -> int:
        return len(self._bits)

    def __contains__(self, replica: object) -> bool:
        return replica in self._bits

    def size(self, physical: bool) -> int:
        """Bytes of all members that are here (`physical`), or will be when they are complete."""
        return sum(
            replica.size(physical) if bits is None else replica.size_of(bits, physical)
            for replica, bits in self._bits.items()
        )

    def set(self, replica: DatasetReplica, members: Collection[BlockReplica]) -> None:
        """Say which block replicas of a dataset replica are members."""
        if members and len(members) == replica.num_block_replicas:
            self._bits[replica] = None
        else:
            self._keep(replica, sum(1 << member.block.number for member in members))

    def add(self, replica: DatasetReplica, member: BlockReplica) -> None:
        """Say that a block replica is a member."""
        bits = self._bits.get(replica, 0)
        if bits is not None:
            self._keep(replica, bits | 1 << member.block.number)

    def exclude(self, replica: DatasetReplica, member: BlockReplica) -> None:
        """Say that a block replica is no member."""
        bits = self._bits.get(replica, 0)
        if bits is None:
            bits = replica.block_bits()
        self._keep(replica, bits & ~(1 << member.block.number))

    def forget(self, replica: DatasetReplica, member: BlockReplica) -> None:
        """Note that a dataset replica, which still has others, has lost a block replica."""
        bits = self._bits.get(replica, 0)
        if bits is not None:
            self._keep(replica, bits & ~(1 << member.block.number))

    def _keep(self, replica: DatasetReplica, bits: int) -> None:
        if bits == 0:
            self._bits.pop(replica, None)
        else:
            self._bits[replica] = None if bits.bit_count() == replica.num_block_replicas else bits

    def drop(self, replica: DatasetReplica) -> None:
        """Forget a dataset replica."""
        self._bits.pop(replica, None)

    def clear(self) -> None:
        """Forget everything."""
        self._bits.clear()

    def block_moved(self, replica: DatasetReplica, old: int, new: int) -> None:
        """Note that a block of the dataset has another number now."""
        bits = self._bits.get(replica)
        if bits is not None and bits >> old & 1:
            self._bits[replica] = bits & ~(1 << old) | 1 << new
