"""How a program or a web module reaches the registry, from the process that it runs in."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from dynamo.dataformat import HistoryRecord, OperationalError
from dynamo.dataformat.fileop import Deletion, Transfer
from dynamo.dataformat.history import history_records
from dynamo.dataformat.request import CopyRequest, DeletionRequest, copy_request, deletion_request

MAX_ROWS = 100_000
"""Most rows in one answer."""


class Note(NamedTuple):
    """A change of the registry that is made together with the inventory's, or not at all."""

    name: str
    args: dict[str, Any]


class Refused(OperationalError):
    """The registry does not do what was asked; the text says why."""


class Channel(Protocol):
    """Asks the server and waits for its answer."""

    def __call__(self, name: str, args: dict[str, Any]) -> Any:
        """The answer.  Raises Refused."""


def nobody_answers(name: str, args: dict[str, Any]) -> Any:
    """The channel of a program that runs outside a server.  Raises OperationalError."""
    raise OperationalError(f"There is no registry outside a server, so {name} has no answer")


class Registry:
    """The registry.  `ask` answers now; what is given to `note` happens when the program has ended well."""

    def __init__(self, channel: Channel = nobody_answers) -> None:
        self._channel = channel
        self.notes: list[Note] = []

    def ask(self, name: str, **args: Any) -> Any:
        """The answer to a question.  Raises Refused when it is none, or not allowed to whoever asks."""
        return self._channel(name, args)

    def history(self, operation: str, partition: str, limit: int = 1) -> list[HistoryRecord]:
        """What the last cycles of `detox` or `dealer` did in a partition, newest first, then by site.

        Raises Refused.
        """
        records = []
        for cycle in self.ask("cycles.listed", operation=operation, partition=partition, limit=limit):
            records += history_records(
                cycle, self.ask("cycles.decisions", cycle=cycle["cycle"], limit=MAX_ROWS)
            )
        return records

    def transfers(self, since: int, until: int | None = None) -> list[Transfer]:
        """Transfers that ended in a span of Unix seconds, oldest first.  Raises Refused."""
        rows = self.ask("files.history", is_deletion=False, since=since, until=until, limit=MAX_ROWS)
        return [Transfer.from_row(row) for row in rows]

    def deletions(self, since: int, until: int | None = None) -> list[Deletion]:
        """Deletions that ended in a span of Unix seconds, oldest first.  Raises Refused."""
        rows = self.ask("files.history", is_deletion=True, since=since, until=until, limit=MAX_ROWS)
        return [Deletion.from_row(row) for row in rows]

    def copy_requests(self, **chosen: Any) -> list[CopyRequest]:
        """Requests for copies that fit what is given, as `requests.find` takes it.  Raises Refused."""
        return [copy_request(row) for row in self.ask("requests.find", kind="copy", **chosen)]

    def deletion_requests(self, **chosen: Any) -> list[DeletionRequest]:
        """Requests to delete that fit what is given, as `requests.find` takes it.  Raises Refused."""
        return [deletion_request(row) for row in self.ask("requests.find", kind="deletion", **chosen)]

    def note(self, name: str, **args: Any) -> None:
        """Have something changed at the end, together with the changes of the inventory."""
        self.notes.append(Note(name, args))
