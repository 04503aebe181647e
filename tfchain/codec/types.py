"""The type registry: how a type is built from others, as metadata V14 describes it.

A type's id is its place in the registry.  `PortableType.bound` is ours: metadata keeps no number for the limit of a
bounded vector, so a registry read from metadata has none, and one made from declarations has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

PRIMITIVES = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256", "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip
"""Primitive types; the place is the number in metadata."""


@dataclass(frozen=True, slots=True)
class Field:
    type: int
    name: str | None = None
    type_name: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One variant of an enum; `index` is the byte on the wire."""

    name: str
    index: int
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Composite:
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    cases: tuple[Case, ...]

    def case(self, name: str) -> Case | None:
        return next((case for case in self.cases if case.name == name), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    item: int


@dataclass(frozen=True, slots=True)
class Array:
    length: int
    item: int


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Primitive:
    name: str


@dataclass(frozen=True, slots=True)
class Compact:
    item: int


@dataclass(frozen=True, slots=True)
class BitSequence:
    store: int
    order: int


Definition: TypeAlias = Composite | Variant | Sequence | Array | Tuple | Primitive | Compact | BitSequence


@dataclass(frozen=True, slots=True)
class Parameter:
    """A generic parameter; `type` is None where the compiler's type has no encoding."""

    name: str
    type: int | None


@dataclass(frozen=True, slots=True)
class PortableType:
    definition: Definition
    path: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bound: int | None = None
    """Most entries (bytes, for a byte string) that a bounded vector may hold."""

    @property
    def name(self) -> str:
        return "::".join(self.path)


@dataclass(frozen=True, slots=True)
class Registry:
    types: tuple[PortableType, ...]

    def __getitem__(self, type_id: int) -> PortableType:
        return self.types[type_id]

    def __len__(self) -> int:
        return len(self.types)

    def __iter__(self) -> Iterator[PortableType]:
        return iter(self.types)
