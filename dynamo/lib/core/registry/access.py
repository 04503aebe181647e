"""How a program or a web module reaches the registry, from the process that it runs in."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from dynamo.dataformat import OperationalError


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

    def note(self, name: str, **args: Any) -> None:
        """Have something changed at the end, together with the changes of the inventory."""
        self.notes.append(Note(name, args))
