"""Groups: owners of replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ObjectError

if TYPE_CHECKING:
    from dynamo.dataformat.repository import Repository

OLEVEL = Enumeration("ownership level", "Dataset", "Block")


class Group:
    """An owner of replicas.  `olevel` says whether it owns whole datasets or single blocks.

    The null group, whose name is None, owns what nobody owns.  It is in every inventory and never changes.
    """

    __slots__ = ("_name", "id", "olevel")

    OL_DATASET: ClassVar[int] = 1
    OL_BLOCK: ClassVar[int] = 2

    null_group: ClassVar[Group]

    olevel_val = staticmethod(OLEVEL.val)
    olevel_name = staticmethod(OLEVEL.name)

    def __init__(self, name: str | None, olevel: int | str = OL_BLOCK, gid: int = 0) -> None:
        """Raises ObjectError for an unknown level."""
        self._name = name
        self.olevel = OLEVEL.check(olevel)
        self.id = gid

    @property
    def name(self) -> str | None:
        """Unique among groups; never changes."""
        return self._name

    def embed_into(self, repository: Repository) -> tuple[Group, bool]:
        """Bring this into the inventory: the embedded group, and whether anything changed."""
        embedded = repository.groups.get(self._name)
        if embedded is None:
            embedded = Group(self._name, self.olevel, self.id)
            repository.groups.add(embedded)
            return embedded, True
        if self._name is None or embedded == self:
            return embedded, False
        embedded.olevel = self.olevel
        return embedded, True

    def unlink_from(self, repository: Repository) -> Group | None:
        """Take the group of this name out of the inventory; the null group gets what it owned.

        Raises ObjectError for the null group.
        """
        if self._name is None:
            raise ObjectError("Deletion of null group not allowed")
        embedded = repository.groups.pop(self._name, None)
        if embedded is None:
            return None
        for site in repository.sites.values():
            for dataset_replica in site.dataset_replicas():
                if dataset_replica.group is embedded:
                    dataset_replica.group = Group.null_group
                if dataset_replica.disown(embedded):
                    repository.membership.dataset_changed(dataset_replica.dataset)
        return embedded

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Group):
            return NotImplemented
        return self._name == other._name and self.olevel == other.olevel

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Group({self._name!r},'{OLEVEL.name(self.olevel)}',{self.id})"


Group.null_group = Group(None)


class Owners:
    """Groups of one inventory by the numbers that rows keep instead of them."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._numbers: dict[Group, int] = {}

    def number(self, group: Group) -> int:
        """The number of a group, which gets one when it has none."""
        number = self._numbers.get(group)
        if number is None:
            number = self._numbers[group] = len(self.groups)
            self.groups.append(group)
        return number


def group_of(group: Group | str | None) -> Group:
    """A group from an object or a name; None is the null group."""
    if group is None:
        return Group.null_group
    return Group(group) if isinstance(group, str) else group
