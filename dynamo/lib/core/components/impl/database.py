"""What a store needs of a relational database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from dynamo.dataformat import OperationalError

Row = tuple[Any, ...]


class OutcomeUnknown(OperationalError):
    """The database was lost while it ended a transaction: its changes may have been kept, or not."""


class Database(Protocol):
    """One connection to a relational database.  Statements mark their parameters with `?`.

    Every method raises OperationalError when the database cannot be reached, IntegrityError when a row would break
    a rule of its table.
    """

    clock: str
    """What its statements call the present time in Unix seconds."""

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it changed or found as they shall be."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number that a new row was given, if any."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for every row."""

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows of an answer, as they come."""

    def begin(self) -> None:
        """Begin a transaction that writes."""

    def begin_snapshot(self) -> None:
        """Begin a transaction that reads everything as of now."""

    def commit(self) -> None:
        """End a transaction and keep its changes."""

    def rollback(self) -> None:
        """End a transaction and drop its changes."""

    def show_life(self, name: str) -> None:
        """From now on, let others see that this process lives, for as long as it is connected."""

    def shows_life(self, name: str) -> bool:
        """Does a process live that said so under this name?  Yes as well while that cannot be told."""

    def close(self) -> None:
        """Give the connection back."""
