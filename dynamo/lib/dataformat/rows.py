"""Rows of numbers, and the objects that stand for them.

A program runs in a child that shares the memory of its server, page by page, until one of them writes.  Looking at an
object writes: its reference count lies in it.  So what an inventory has most of, blocks and their replicas, it keeps
as rows of numbers, which are looked at without a trace.  An object for a row is made when somebody asks for it, and
goes when nobody holds it any more; as long as it is there, everybody gets the same one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, MutableSequence
from typing import Any, Generic, Protocol, Self, TypeVar, overload
from weakref import ref

from dynamo.dataformat.exceptions import ObjectError

Table = TypeVar("Table")
Row = TypeVar("Row")
Cells = MutableSequence[Any]
"""Where the values of an object lie: among the rows of its table, or in a list of its own when it is in none."""


class Windows(Generic[Table, Row]):
    """Objects that stand for rows of one table, by the place where their row begins.

    Every such object has to hold this, so that it stays as long as one of them does, and has to put itself into `held`.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held: dict[int, ref[Row]] = {}

    def one(self, at: int, make: Make[Table, Row], table: Table) -> Row:
        """The object of a row, made if nobody holds one."""
        held = self.held.get(at)
        return (held and held()) or make(table, at, self)

    def all(self, places: Iterable[int], make: Make[Table, Row], table: Table) -> set[Row]:
        """The objects of many rows."""
        find = self.held.get
        return {((held := find(at)) and held()) or make(table, at, self) for at in places}

    def move(self, old: int, new: int) -> Row | None:
        """Note that a row lies elsewhere now; its object, which has to be told."""
        held = self.held.pop(old, None)
        if held is None:
            return None
        self.held[new] = held
        return held()

    def clear(self) -> list[Row]:
        """Forget all rows; the objects of those that somebody holds."""
        found = [row for held in self.held.values() if (row := held()) is not None]
        self.held.clear()
        return found


class InRows(Protocol):
    """An object whose numbers are `cells` from the place `at` on."""

    _cells: Cells
    at: int


class Number:
    """A column of whole numbers, as an attribute of the objects that stand for rows.  Raises ObjectError for others."""

    def __init__(self, column: int, doc: str) -> None:
        self._column = column
        self.__doc__ = doc

    @overload
    def __get__(self, row: None, owner: type) -> Self: ...

    @overload
    def __get__(self, row: InRows, owner: type) -> int: ...

    def __get__(self, row: InRows | None, owner: type) -> Self | int:
        if row is None:
            return self
        number: int = row._cells[row.at + self._column]
        return number

    def __set__(self, row: InRows, number: int) -> None:
        row._cells[row.at + self._column] = whole(number)


Make = Callable[[Table, int, Windows[Table, Row]], Row]
"""Makes the object of a row."""

_WINDOWS: dict[object, ref[Windows[Any, Any]]] = {}


def windows_of(table: object) -> Windows[Any, Any]:
    """The windows of what owns a table."""
    held = _WINDOWS.get(table)
    found = None if held is None else held()
    if found is None:
        found = Windows()
        _WINDOWS[table] = ref(found, lambda _: _WINDOWS.pop(table, None))
    return found


def new_rows() -> array[int]:
    """A table without rows, of integers of 64 bits."""
    return array("q")


def find_row(rows: array[int], column: int, width: int, value: int) -> int | None:
    """Where the row begins that has a value in a column, None without one."""
    try:
        return rows[column::width].index(value) * width
    except ValueError:
        return None


def drop_row(rows: array[int], at: int, width: int) -> int:
    """Take a row out.  The last one comes into its place: where that was, which is `at` if it was the last itself."""
    last = len(rows) - width
    if at != last:
        rows[at : at + width] = rows[last:]
    del rows[last:]
    return last


def whole(value: Any) -> int:
    """A number as rows keep it.  Raises ObjectError for what is no integer of 64 bits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ObjectError(f"{value!r:.80} is not an integer of 64 bits")
    return value
