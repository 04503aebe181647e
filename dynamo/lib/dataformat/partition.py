"""Partitions: classes of block replicas that are counted and limited together."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from dynamo.dataformat.exceptions import ObjectError, OperationalError

if TYPE_CHECKING:
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.repository import Repository


class Reach(IntEnum):
    """How far away the facts lie that membership of a block replica depends on."""

    OWN = 0
    """The replica's owner and time, and plain attributes of its dataset and its site."""

    CONTENT = 1
    """Sizes and completeness of the whole dataset replica, too."""

    FLEET = 2
    """Replicas of the dataset at other sites, too."""


class Membership(Protocol):
    """What decides whether a block replica belongs to a partition."""

    @property
    def reach(self) -> Reach:
        """How far away the facts lie."""

    def match(self, replica: BlockReplica, /) -> bool:
        """Does it belong?  Raises OperationalError when that cannot be said of this replica."""


class Partition:
    """A class of block replicas, by a condition or as the union of other partitions.

    Without either, nothing belongs to it.
    """

    __slots__ = ("_name", "condition", "id", "parent", "subpartitions", "union_of")

    def __init__(self, name: str, condition: Membership | Sequence[str] | None = None, pid: int = 0) -> None:
        self._name = name
        self.id = pid
        self.parent: Partition | None = None
        self.subpartitions: tuple[Partition, ...] | None = None
        self.condition: Membership | None = None
        self.union_of: tuple[str, ...] | None = None
        if isinstance(condition, Sequence):
            self.union_of = tuple(condition)
        else:
            self.condition = condition

    @property
    def name(self) -> str:
        """Unique among partitions; never changes."""
        return self._name

    @property
    def reach(self) -> Reach:
        """How far away the facts lie that membership depends on."""
        if self.subpartitions is not None:
            return max((part.reach for part in self.subpartitions), default=Reach.OWN)
        return Reach.OWN if self.condition is None else self.condition.reach

    def contains(self, replica: BlockReplica) -> bool:
        """Does the block replica belong to this partition?  What cannot be said of it counts as no."""
        if self.subpartitions is not None:
            return any(part.contains(replica) for part in self.subpartitions)
        if self.condition is None:
            return False
        try:
            return self.condition.match(replica)
        except OperationalError:
            return False

    def embed_tree(self, repository: Repository) -> None:
        """Link a union with its parts.

        Raises ObjectError when a part is unknown, or when a union would contain itself.
        """
        if self.union_of is None:
            return
        parts = []
        for name in self.union_of:
            part = repository.partitions.get(name)
            if part is None:
                raise ObjectError(f"Partition {self._name} is a union of the unknown partition {name}")
            if part is self or self in part.parts():
                raise ObjectError(f"Partition {self._name} would contain itself by way of {name}")
            parts.append(part)
        self.subpartitions = tuple(parts)
        for part in parts:
            part.parent = self

    def parts(self) -> list[Partition]:
        """All partitions that this is the union of, at any depth."""
        found: list[Partition] = []
        for part in self.subpartitions or ():
            found += [part, *part.parts()]
        return found

    def embed_into(self, repository: Repository) -> tuple[Partition, bool]:
        """The partition of this name.  Raises ObjectError for a new one: the definition file makes these."""
        embedded = repository.partitions.get(self._name)
        if embedded is None:
            raise ObjectError(f"Partition {self._name} is unknown; add it to the partition definition file")
        return embedded, False

    def unlink_from(self, repository: Repository) -> Partition | None:
        """Raises ObjectError: the definition file decides which partitions there are."""
        raise ObjectError(f"Partition {self._name} cannot be deleted; remove it from the definition file")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return self._name == other._name if isinstance(other, Partition) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Partition({self._name!r},None,{self.id})"
