"""Frozen models whose JSON form and challenge are described by their fields.

A model derives from `Record` and is decorated with `record`.  Its fields stand in encoding order, each made by
`member`, which names its kind; `HASHED` names the fields of the challenge, in its order, where that differs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, cast, dataclass_transform

from gridtypes.json_text import Node, Shape
from gridtypes.kinds import Kind, Reader, decode

C = TypeVar("C")


def member(kind: Kind[Any], key: str | None = None, *, omit_empty: bool = False) -> Any:
    """A field of a record; `key` when its JSON name differs, `omit_empty` when Go leaves an empty value out."""
    return dataclasses.field(default=kind.zero, metadata={"member": (kind, key, omit_empty)})


@dataclass_transform(frozen_default=True)
def record(model: type[C]) -> type[C]:
    """Make a class a frozen dataclass with slots."""
    return dataclass(frozen=True, slots=True)(model)


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a model with its JSON key."""

    name: str
    key: str
    kind: Kind[Any]
    omit_empty: bool


class Record:
    """Base of all models that travel as JSON."""

    __slots__ = ()

    HASHED: ClassVar[tuple[str, ...] | None] = None
    """Fields in the challenge, in order; None for all fields in the order of their declaration."""

    def __post_init__(self) -> None:
        for field in _layout_of(self).members:
            try:
                value = field.kind.take(getattr(self, field.name))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{type(self).__name__}.{field.name}: {error}") from None
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Decode as Go's `encoding/json` does.  Raises DecodeError naming JSON path and value."""
        model: Self = decode(NestedRecord(cls), as_bytes(raw))
        return model

    def to_json(self) -> bytes:
        """Go's encoding, byte for byte."""
        parts = []
        for field in _layout_of(self).members:
            value = getattr(self, field.name)
            if field.omit_empty and (value is None or value == ()):
                continue
            parts.append(b'"' + field.key.encode() + b'":' + field.kind.encode(value))
        return b"{" + b",".join(parts) + b"}"

    def challenge(self) -> bytes:
        """What is signed of it: the texts of its hashed fields, one after another with nothing between them."""
        return b"".join(field.kind.challenge(getattr(self, field.name)) for field in _layout_of(self).hashed)


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of a model, ready for the codec."""

    members: tuple[Member, ...]
    hashed: tuple[Member, ...]
    by_key: dict[str, Member]
    """By folded key."""


@cache
def layout(model: type[Any]) -> Layout:
    """Of a class made by `record`."""
    members = []
    for field in dataclasses.fields(model):
        if "member" in field.metadata:
            kind, key, omit_empty = field.metadata["member"]
            members.append(Member(field.name, key or field.name, kind, omit_empty))
    by_name = {one.name: one for one in members}
    hashed = members if model.HASHED is None else [by_name[name] for name in model.HASHED]
    return Layout(tuple(members), tuple(hashed), {fold(one.key): one for one in members})


def _layout_of(model: Record) -> Layout:
    kind: Any = type(model)  # to mypy a class is not hashable when its instances' hash differs in signature
    return layout(kind)


def fold(key: str) -> str:
    """Keys that Go takes for the same field fold to the same text: any letter case, `ſ` as s, Kelvin sign as k."""
    return key.lower().replace("ſ", "s")


def as_bytes(raw: bytes | str) -> bytes:
    return raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else bytes(raw)


class NestedRecord:
    """A model as a value: always present, `null` leaves it as it is."""

    def __init__(self, model: type[Record]) -> None:
        self._model = model
        self._zero: Record | None = None

    @property
    def zero(self) -> Any:
        if self._zero is None:
            self._zero = self._model()
        return self._zero

    def take(self, value: Any) -> Any:
        if not isinstance(value, self._model):
            raise TypeError(f"{value!r} is not a {self._model.__name__}")
        return value

    def decode(self, reader: Reader, node: Node, onto: Any) -> Any:
        if node.members is None:
            if node.shape is not Shape.NULL:
                reader.wrong_type(node, "an object")
            return onto
        fields = _layout_of(onto)
        made = object.__new__(self._model)
        values = {one.name: getattr(onto, one.name) for one in fields.members}
        for key, item in node.members:
            one = fields.by_key.get(fold(key))
            if one is not None:
                reader.path.append(one.key)
                values[one.name] = one.kind.decode(reader, item, values[one.name])
                reader.path.pop()
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def encode(self, value: Any) -> bytes:
        return cast(Record, value).to_json()

    def challenge(self, value: Any) -> bytes:
        return cast(Record, value).challenge()


class OptionalRecord:
    """A model that may be absent (None); absent ones add nothing to the challenge."""

    zero = None

    def __init__(self, model: type[Record]) -> None:
        self._present = NestedRecord(model)

    def take(self, value: Any) -> Any:
        return None if value is None else self._present.take(value)

    def decode(self, reader: Reader, node: Node, onto: Any) -> Any:
        if node.shape is Shape.NULL:
            return None
        if node.members is None:
            reader.wrong_type(node, "an object")
            return onto
        return self._present.decode(reader, node, self._present.zero if onto is None else onto)

    def encode(self, value: Any) -> bytes:
        return b"null" if value is None else self._present.encode(value)

    def challenge(self, value: Any) -> bytes:
        return b"" if value is None else self._present.challenge(value)
