"""What a call sees: the state through its layer, the block, its origin; and the events that it deposits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tfchain.devchain.dispatch import BadOrigin, Members, Origin, Pays, Root, Signed
from tfchain.devchain.interface import Interface
from tfchain.devchain.state import Layer

MOST_NESTED_CALLS = 16
"""Deepest nesting of calls in calls (batch in proposal in batch …)."""


GRACE_BLOCKS = 201_600
"""Length of a contract's grace on the public networks: 14 days of blocks of 6 s."""


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """The block being built."""

    number: int
    time_ms: int
    author: bytes
    grace_blocks: int = GRACE_BLOCKS
    """Between the start of a contract's grace and its end."""

    @property
    def time(self) -> int:
        """Chain time in seconds, as pallets store it."""
        return self.time_ms // 1000


@dataclass(frozen=True, slots=True)
class Event:
    pallet: str
    name: str
    content: Any
    """The fields as the codec takes them; None for an event without fields."""

    def value(self) -> Any:
        return {self.pallet: self.name if self.content is None else {self.name: self.content}}


@dataclass(slots=True)
class Context:
    """One call's surroundings.  `state` is the layer that a failure would drop."""

    interface: Interface
    block: BlockInfo
    state: Layer
    origin: Origin
    table: Mapping[str, Mapping[str, Callable[..., Pays | None]]]
    """What each call does, for calls that hold calls; see `calls.dispatch`."""
    events: list[Event] = field(default_factory=list)
    depth: int = 0

    def signer(self) -> bytes:
        """The account that signed; raises `BadOrigin` for any other origin."""
        if not isinstance(self.origin, Signed):
            raise BadOrigin("a signed call is wanted")
        return self.origin.account

    def require_root_or_council(self) -> None:
        """Pass for root, and for three fifths of the council."""
        match self.origin:
            case Root():
                return
            case Members(yes, total) if yes * 5 >= total * 3:
                return
        raise BadOrigin("root or three fifths of the council are wanted")

    def deposit(self, pallet: str, name: str, content: Any = None) -> None:
        """Deposit an event; its shape is checked when the block is encoded."""
        self.events.append(Event(pallet, name, content))

    @contextmanager
    def acting_as(self, origin: Origin) -> Iterator[None]:
        """Run the body with another origin."""
        before, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo state and events of the body when it raises."""
        outer, before = self.state, len(self.events)
        self.state = Layer(outer)
        try:
            yield
        except BaseException:
            del self.events[before:]
            raise
        else:
            self.state.merge_into(outer)
        finally:
            self.state = outer
