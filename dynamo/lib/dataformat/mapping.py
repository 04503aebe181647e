"""The inventory's objects by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str | None: ...


Name = TypeVar("Name", str, str | None)
Object = TypeVar("Object", bound=Named)


class ObjectMapping(dict[Name, Object], Generic[Name, Object]):
    """A dictionary of objects by name.

    Its lists are snapshots: scripts delete what they walk over.
    """

    def add(self, obj: Object) -> None:
        """Add an object under its name."""
        self[obj.name] = obj  # type: ignore[index]  # the name's type is that of the keys

    def keys(self) -> list[Name]:  # type: ignore[override]  # a list on purpose, see above
        """All names."""
        return list(self)

    def values(self) -> list[Object]:  # type: ignore[override]
        """All objects."""
        return list(super().values())

    def items(self) -> list[tuple[Name, Object]]:  # type: ignore[override]
        """All names with their objects."""
        return [(name, self[name]) for name in self]

    def iterkeys(self) -> Iterator[Name]:
        """Walk over the names, as scripts for Python 2 do."""
        return iter(self.keys())

    def itervalues(self) -> Iterator[Object]:
        """Walk over the objects, as scripts for Python 2 do."""
        return iter(self.values())

    def iteritems(self) -> Iterator[tuple[Name, Object]]:
        """Walk over names and objects, as scripts for Python 2 do."""
        return iter(self.items())
