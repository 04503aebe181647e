"""Typed access to storage items.

Each item is declared once, in the interface; a pallet names it and says which Python type its values have.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from tfchain.codec.hashing import storage_key, storage_prefix
from tfchain.codec.metadata import StorageEntry
from tfchain.codec.types import Tuple
from tfchain.devchain.interface import Interface, interface
from tfchain.devchain.state import ReadableState, State

K = TypeVar("K")
V = TypeVar("V")


class Reads(Protocol):
    """A context, or anything else that holds a state."""

    @property
    def state(self) -> ReadableState: ...


class Writes(Protocol):
    """A context, or anything else that holds a state which takes changes."""

    @property
    def state(self) -> State: ...


class _Item(Generic[K]):
    def __init__(self, pallet: str, name: str) -> None:
        self.pallet = pallet
        self.name = name

    @property
    def interface(self) -> Interface:
        return interface()

    @cached_property
    def entry(self) -> StorageEntry:
        return self.interface.metadata.pallet(self.pallet).entry(self.name)

    @cached_property
    def key_types(self) -> tuple[int, ...]:
        if self.entry.key is None:
            return ()
        definition = self.interface.metadata.registry[self.entry.key].definition
        if len(self.entry.hashers) > 1 and isinstance(definition, Tuple):
            return definition.items
        return (self.entry.key,)

    @property
    def prefix(self) -> bytes:
        return storage_prefix(self.pallet, self.name)

    def key(self, key: Any) -> bytes:
        """The storage key; a map with several hashers takes a tuple."""
        if not self.key_types:
            return self.prefix
        parts = key if len(self.key_types) > 1 else (key,)
        codec = self.interface.codec
        encoded = [codec.encode(type_id, part) for type_id, part in zip(self.key_types, parts, strict=True)]
        return storage_key(self.pallet, self.name, tuple(zip(self.entry.hashers, encoded, strict=True)))

    def _read(self, holder: Reads, key: Any) -> Any:
        raw = holder.state.get(self.key(key))
        return None if raw is None else self.interface.codec.decode(self.entry.value, raw)

    def _default(self) -> Any:
        return self.interface.codec.decode(self.entry.value, self.entry.default)

    def _write(self, holder: Writes, key: Any, value: Any) -> None:
        encoded = None if value is None else self.interface.codec.encode(self.entry.value, value)
        holder.state.put(self.key(key), encoded)


class OptionalMap(_Item[K], Generic[K, V]):
    """A map whose missing keys are absent."""

    def get(self, holder: Reads, key: K) -> V | None:
        found: V | None = self._read(holder, key)
        return found

    def put(self, holder: Writes, key: K, value: V) -> None:
        self._write(holder, key, value)

    def delete(self, holder: Writes, key: K) -> None:
        self._write(holder, key, None)


class DefaultMap(_Item[K], Generic[K, V]):
    """A map whose missing keys have a default; the default itself is never stored by reading."""

    def get(self, holder: Reads, key: K) -> V:
        found = self._read(holder, key)
        value: V = self._default() if found is None else found
        return value

    def has(self, holder: Reads, key: K) -> bool:
        return holder.state.get(self.key(key)) is not None

    def put(self, holder: Writes, key: K, value: V) -> None:
        self._write(holder, key, value)

    def delete(self, holder: Writes, key: K) -> None:
        self._write(holder, key, None)


class DefaultValue(_Item[None], Generic[V]):
    """A single value with a default."""

    def get(self, holder: Reads) -> V:
        found = self._read(holder, None)
        value: V = self._default() if found is None else found
        return value

    def put(self, holder: Writes, value: V) -> None:
        self._write(holder, None, value)

    def delete(self, holder: Writes) -> None:
        self._write(holder, None, None)


class OptionalValue(_Item[None], Generic[V]):
    """A single value that may be absent."""

    def get(self, holder: Reads) -> V | None:
        found: V | None = self._read(holder, None)
        return found

    def put(self, holder: Writes, value: V) -> None:
        self._write(holder, None, value)


def next_id(holder: Writes, counter: DefaultValue[int]) -> int:
    """Count up and give the new number; the first is 1."""
    number = counter.get(holder) + 1
    counter.put(holder, number)
    return number
