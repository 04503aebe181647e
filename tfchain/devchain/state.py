"""Layers of changes over the chain's state.

A block is built in a layer over the committed state, each call in a layer over the block's; a call that fails is
undone by dropping its layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Changes = dict[bytes, bytes | None]
"""New values by key; None deletes."""


class ReadableState(Protocol):
    def get(self, key: bytes) -> bytes | None: ...


class State(ReadableState, Protocol):
    def put(self, key: bytes, value: bytes | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A state to read from, in the shape that storage items take."""

    state: ReadableState


class Layer:
    """Changes over another state, visible here and nowhere else until they are merged."""

    __slots__ = ("below", "changes")

    def __init__(self, below: ReadableState) -> None:
        self.below = below
        self.changes: Changes = {}

    def get(self, key: bytes) -> bytes | None:
        if key in self.changes:
            return self.changes[key]
        return self.below.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.changes[key] = value

    def merge_into(self, target: Layer) -> None:
        target.changes.update(self.changes)


class Snapshot:
    """The committed state of the newest block, in memory."""

    __slots__ = ("_keys", "values")

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self.values = dict(values)
        self._keys: list[bytes] | None = None

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def apply(self, changes: Changes) -> None:
        for key, value in changes.items():
            if value is None:
                if self.values.pop(key, None) is not None:
                    self._keys = None
            else:
                if key not in self.values:
                    self._keys = None
                self.values[key] = value

    def sorted_keys(self) -> list[bytes]:
        """All keys in order; kept until a key comes or goes."""
        if self._keys is None:
            self._keys = sorted(self.values)
        return self._keys
