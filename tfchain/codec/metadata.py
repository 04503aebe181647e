"""Runtime metadata V14: the structure, reading it and writing it.

`parse(encode(m)) == m`; documentation texts are dropped on reading and written empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from tfchain.codec.scale import Reader, ScaleError, blob, compact, text, uint
from tfchain.codec.types import (
    PRIMITIVES,
    Array,
    BitSequence,
    Case,
    Compact,
    Composite,
    Definition,
    Field,
    Parameter,
    PortableType,
    Primitive,
    Registry,
    Sequence,
    Tuple,
    Variant,
)

MAGIC = b"meta"
VERSION = 14
HASHERS = (
    "Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat", "Identity",
)  # fmt: skip
"""Storage hashers; the place is the number in metadata."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StorageEntry:
    name: str
    optional: bool
    """A missing key reads as absent; otherwise as `default`."""
    hashers: tuple[str, ...]
    """Empty for a plain value."""
    key: int | None
    value: int
    default: bytes


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Pallet:
    name: str
    index: int
    prefix: str | None
    """Storage prefix; None for a pallet that stores nothing."""
    storage: tuple[StorageEntry, ...]
    calls: int | None
    events: int | None
    errors: int | None
    constants: tuple[Constant, ...]

    def entry(self, name: str) -> StorageEntry:
        """A storage item by name; raises KeyError."""
        for entry in self.storage:
            if entry.name == name:
                return entry
        raise KeyError(f"{self.name} has no storage item {name}")

    def constant(self, name: str) -> Constant:
        for constant in self.constants:
            if constant.name == name:
                return constant
        raise KeyError(f"{self.name} has no constant {name}")


@dataclass(frozen=True, slots=True)
class SignedExtension:
    identifier: str
    extra: int
    additional_signed: int


@dataclass(frozen=True, slots=True)
class Metadata:
    registry: Registry
    pallets: tuple[Pallet, ...]
    extrinsic: int
    extrinsic_version: int
    extensions: tuple[SignedExtension, ...]
    runtime: int

    def pallet(self, name: str) -> Pallet:
        """A pallet by name; raises KeyError."""
        for pallet in self.pallets:
            if pallet.name == name:
                return pallet
        raise KeyError(f"no pallet {name}")

    @property
    def event_type(self) -> int:
        """The type `Vec<EventRecord>` of System.Events."""
        return self.pallet("System").entry("Events").value

    def extrinsic_parameter(self, name: str) -> int:
        """One of the types `Address`, `Call`, `Signature`, `Extra` of the extrinsic."""
        for parameter in self.registry[self.extrinsic].parameters:
            if parameter.name == name and parameter.type is not None:
                return parameter.type
        raise KeyError(f"the extrinsic type has no parameter {name}")


def parse(data: bytes) -> Metadata:
    """Read metadata; raises `ScaleError` on anything that is not complete V14."""
    reader = Reader(data)
    if reader.take(4) != MAGIC or reader.byte() != VERSION:
        raise ScaleError(f"not metadata of version {VERSION}: starts with 0x{data[:5].hex()}")
    types = _vector(reader, _read_type)
    if [number for number, _ in types] != list(range(len(types))):
        raise ScaleError("type numbers are not 0, 1, 2, …")
    pallets = _vector(reader, _read_pallet)
    extrinsic = reader.compact()
    version = reader.byte()
    extensions = _vector(reader, lambda r: SignedExtension(r.text(), r.compact(), r.compact()))
    runtime = reader.compact()
    reader.done()
    return Metadata(
        Registry(tuple(portable for _, portable in types)), pallets, extrinsic, version, extensions, runtime
    )


def encode(metadata: Metadata) -> bytes:
    """Write metadata."""
    parts = [MAGIC, bytes((VERSION,)), compact(len(metadata.registry))]
    parts += [compact(number) + _type(portable) for number, portable in enumerate(metadata.registry)]
    parts.append(_list(metadata.pallets, _pallet))
    parts += [compact(metadata.extrinsic), bytes((metadata.extrinsic_version,))]
    parts.append(
        _list(
            metadata.extensions,
            lambda e: text(e.identifier) + compact(e.extra) + compact(e.additional_signed),
        )
    )
    parts.append(compact(metadata.runtime))
    return b"".join(parts)


NO_DOCS = compact(0)


def _vector(reader: Reader, read: Callable[[Reader], T]) -> tuple[T, ...]:
    count = reader.compact()
    if count > reader.left:
        raise ScaleError(f"a list of {count} entries in {reader.left} bytes")
    return tuple(read(reader) for _ in range(count))


def _list(items: Iterable[T], write: Callable[[T], bytes]) -> bytes:
    written = [write(item) for item in items]
    return compact(len(written)) + b"".join(written)


def _maybe(reader: Reader, read: Callable[[Reader], T]) -> T | None:
    flag = reader.byte()
    if flag > 1:
        raise ScaleError(f"an option starts with {flag}")
    return read(reader) if flag else None


def _option(value: T | None, write: Callable[[T], bytes]) -> bytes:
    return b"\0" if value is None else b"\1" + write(value)


def _skip_docs(reader: Reader) -> None:
    _vector(reader, Reader.text)


def _read_field(reader: Reader) -> Field:
    name, type_id, type_name = _maybe(reader, Reader.text), reader.compact(), _maybe(reader, Reader.text)
    _skip_docs(reader)
    return Field(type_id, name, type_name)


def _field(field: Field) -> bytes:
    return _option(field.name, text) + compact(field.type) + _option(field.type_name, text) + NO_DOCS


def _read_case(reader: Reader) -> Case:
    name, fields, index = reader.text(), _vector(reader, _read_field), reader.byte()
    _skip_docs(reader)
    return Case(name, index, fields)


def _case(case: Case) -> bytes:
    return text(case.name) + _list(case.fields, _field) + bytes((case.index,)) + NO_DOCS


def _read_type(reader: Reader) -> tuple[int, PortableType]:
    number = reader.compact()
    path = _vector(reader, Reader.text)
    parameters = _vector(reader, lambda r: Parameter(r.text(), _maybe(r, Reader.compact)))
    definition = _read_definition(reader)
    _skip_docs(reader)
    return number, PortableType(definition, path, parameters)


def _type(portable: PortableType) -> bytes:
    return (
        _list(portable.path, text)
        + _list(portable.parameters, lambda p: text(p.name) + _option(p.type, compact))
        + _definition(portable.definition)
        + NO_DOCS
    )


def _read_definition(reader: Reader) -> Definition:
    match reader.byte():
        case 0:
            return Composite(_vector(reader, _read_field))
        case 1:
            return Variant(_vector(reader, _read_case))
        case 2:
            return Sequence(reader.compact())
        case 3:
            return Array(reader.uint(4), reader.compact())
        case 4:
            return Tuple(_vector(reader, Reader.compact))
        case 5:
            kind = reader.byte()
            if kind >= len(PRIMITIVES):
                raise ScaleError(f"no primitive type {kind}")
            return Primitive(PRIMITIVES[kind])
        case 6:
            return Compact(reader.compact())
        case 7:
            return BitSequence(reader.compact(), reader.compact())
        case other:
            raise ScaleError(f"no kind of type {other}")


def _definition(definition: Definition) -> bytes:
    match definition:
        case Composite(fields):
            return b"\0" + _list(fields, _field)
        case Variant(cases):
            return b"\1" + _list(cases, _case)
        case Sequence(item):
            return b"\2" + compact(item)
        case Array(length, item):
            return b"\3" + uint(length, 4) + compact(item)
        case Tuple(items):
            return b"\4" + _list(items, compact)
        case Primitive(name):
            return b"\5" + bytes((PRIMITIVES.index(name),))
        case Compact(item):
            return b"\6" + compact(item)
        case BitSequence(store, order):
            return b"\7" + compact(store) + compact(order)


def _read_storage(reader: Reader) -> tuple[str, tuple[StorageEntry, ...]]:
    return reader.text(), _vector(reader, _read_entry)


def _read_entry(reader: Reader) -> StorageEntry:
    name, optional = reader.text(), reader.byte() == 0
    key: int | None = None
    hashers: tuple[str, ...] = ()
    if reader.byte():
        hashers = _vector(reader, _read_hasher)
        key = reader.compact()
    value, default = reader.compact(), reader.blob()
    _skip_docs(reader)
    return StorageEntry(name, optional, hashers, key, value, default)


def _read_hasher(reader: Reader) -> str:
    number = reader.byte()
    if number >= len(HASHERS):
        raise ScaleError(f"storage hasher {number} is unknown: there are {len(HASHERS)}")
    return HASHERS[number]


def _entry(entry: StorageEntry) -> bytes:
    if entry.key is None:
        kind = b"\0"
    else:
        kind = b"\1" + _list(entry.hashers, lambda h: bytes((HASHERS.index(h),))) + compact(entry.key)
    modifier = b"\0" if entry.optional else b"\1"
    return text(entry.name) + modifier + kind + compact(entry.value) + blob(entry.default) + NO_DOCS


def _read_constant(reader: Reader) -> Constant:
    constant = Constant(reader.text(), reader.compact(), reader.blob())
    _skip_docs(reader)
    return constant


def _read_pallet(reader: Reader) -> Pallet:
    name = reader.text()
    prefix, storage = _maybe(reader, _read_storage) or (None, ())
    calls, events = _maybe(reader, Reader.compact), _maybe(reader, Reader.compact)
    constants = _vector(reader, _read_constant)
    errors = _maybe(reader, Reader.compact)
    return Pallet(name, reader.byte(), prefix, storage, calls, events, errors, constants)


def _pallet(pallet: Pallet) -> bytes:
    storage = None if pallet.prefix is None else (pallet.prefix, pallet.storage)
    return (
        text(pallet.name)
        + _option(storage, lambda s: text(s[0]) + _list(s[1], _entry))
        + _option(pallet.calls, compact)
        + _option(pallet.events, compact)
        + _list(pallet.constants, lambda c: text(c.name) + compact(c.type) + blob(c.value) + NO_DOCS)
        + _option(pallet.errors, compact)
        + bytes((pallet.index,))
    )
