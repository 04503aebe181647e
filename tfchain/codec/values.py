"""Values of registry types: bytes to Python and back.

| type | Python value |
|---|---|
| integers, compact | `int` |
| `bool`, `str` | the same |
| struct with named fields | `dict`, or the record class given for its path |
| struct with one unnamed field | the inner value |
| struct with several, tuple | `tuple` |
| enum | the case's name, or `{name: fields}` |
| `Option` | None or the value |
| vector or array of `u8` | `bytes` |
| other vector or array | `list` |

A record class is a dataclass whose attributes are named as the fields.  An enum named in `unions`, each of whose cases
holds one record, has that record as its value.  Decoding is strict (see `scale.Reader`) and
honours the bounds of a registry that has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tfchain.codec.scale import Reader, ScaleError, blob, compact, uint
from tfchain.codec.types import (
    Array,
    BitSequence,
    Compact,
    Composite,
    Field,
    Primitive,
    Registry,
    Sequence,
    Tuple,
    Variant,
)

Value: TypeAlias = Any
"""A decoded value; its shape follows from the type, see the table above."""

MOST_NESTED = 128
"""Deepest nesting of types in one value; calls can hold calls."""

_Decoder: TypeAlias = Callable[[Reader, int], Value]
_Encoder: TypeAlias = Callable[[Value], bytes]


class Codec:
    """Decode and encode values by type number.

    `records` maps a type's path (`"tfchain_support::types::Farm"`) to the class that its values become.
    """

    def __init__(
        self,
        registry: Registry,
        records: Mapping[str, type] | None = None,
        unions: frozenset[str] = frozenset(),
    ) -> None:
        self.registry = registry
        self.records = records or {}
        self.unions = unions
        self._decoders: dict[int, _Decoder] = {}
        self._encoders: dict[int, _Encoder] = {}

    def decode(self, type_id: int, data: bytes) -> Value:
        """Decode all of `data`; raises `ScaleError`, also when bytes are left over."""
        reader = Reader(data)
        value = self.read(type_id, reader)
        reader.done()
        return value

    def read(self, type_id: int, reader: Reader, depth: int = 0) -> Value:
        """Decode one value at the reader's position."""
        decoder = self._decoders.get(type_id)
        if decoder is None:
            decoder = self._decoders[type_id] = self._decoder(type_id)
        if depth > MOST_NESTED:
            raise ScaleError(f"values are nested deeper than {MOST_NESTED}")
        return decoder(reader, depth + 1)

    def encode(self, type_id: int, value: Value) -> bytes:
        """Encode a value; raises `ScaleError` naming the part that does not fit."""
        encoder = self._encoders.get(type_id)
        if encoder is None:
            encoder = self._encoders[type_id] = self._encoder(type_id)
        try:
            return encoder(value)
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            if isinstance(error, ScaleError):
                raise
            raise ScaleError(f"{value!r:.120} does not fit {self.describe(type_id)}: {error}") from error

    def describe(self, type_id: int) -> str:
        portable = self.registry[type_id]
        return portable.name or str(portable.definition)

    def zero(self, type_id: int) -> bytes:
        """The encoding of a type's zero: 0, false, empty, None, the first case."""
        match self.registry[type_id].definition:
            case Composite(fields):
                return b"".join(self.zero(field.type) for field in fields)
            case Variant(cases):
                first = min(cases, key=lambda case: case.index)
                return bytes((first.index,)) + b"".join(self.zero(field.type) for field in first.fields)
            case Array(length, item):
                return self.zero(item) * length
            case Tuple(items):
                return b"".join(map(self.zero, items))
            case Primitive("bool" | "str"):
                return b"\0"
            case Primitive(name):
                return bytes(_width(name))
            case _:
                return b"\0"

    def is_byte(self, type_id: int) -> bool:
        return self.registry[type_id].definition == Primitive("u8")

    # Decoding

    def _decoder(self, type_id: int) -> _Decoder:
        portable = self.registry[type_id]
        match portable.definition:
            case Composite(fields):
                return self._composite_decoder(fields, portable.name, portable.bound)
            case Variant() as variant:
                return self._variant_decoder(variant, portable.path == ("Option",), portable.name)
            case Sequence(item):
                return self._sequence_decoder(item)
            case Array(length, item):
                if self.is_byte(item):
                    return lambda reader, depth: reader.take(length)
                return lambda reader, depth: [self.read(item, reader, depth) for _ in range(length)]
            case Tuple(items):
                return lambda reader, depth: tuple(self.read(item, reader, depth) for item in items)
            case Primitive(name):
                return _primitive_decoder(name)
            case Compact(item):
                return self._compact_decoder(item)
            case BitSequence():
                raise ScaleError("bit sequences are not used by this chain and not decoded")

    def _composite_decoder(self, fields: tuple[Field, ...], name: str, bound: int | None) -> _Decoder:
        if len(fields) == 1 and fields[0].name is None:
            inner = fields[0].type
            if bound is None:
                return lambda reader, depth: self.read(inner, reader, depth)
            limit = bound

            def bounded(reader: Reader, depth: int) -> Value:
                value = self.read(inner, reader, depth)
                if len(value) > limit:
                    raise ScaleError(f"{len(value)} entries in a vector that holds at most {limit}")
                return value

            return bounded
        if not fields or fields[0].name is None:
            return lambda reader, depth: tuple(self.read(field.type, reader, depth) for field in fields)
        named = [(field.name or "", field.type) for field in fields]
        record = self.records.get(name)

        def decode(reader: Reader, depth: int) -> Value:
            values: dict[str, Value] = {}
            for field_name, field_type in named:
                try:
                    values[field_name] = self.read(field_type, reader, depth)
                except ScaleError as error:
                    raise ScaleError(f"{field_name}: {error}") from None
            return values if record is None else record(**values)

        return decode

    def _variant_decoder(self, variant: Variant, is_option: bool, name: str) -> _Decoder:
        cases = {case.index: case for case in variant.cases}
        is_union = name in self.unions

        def decode(reader: Reader, depth: int) -> Value:
            index = reader.byte()
            case = cases.get(index)
            if case is None:
                raise ScaleError(f"{name} has no case {index}")
            if is_option:
                return self.read(case.fields[0].type, reader, depth) if case.fields else None
            if not case.fields:
                return case.name
            content = self._read_fields(case.fields, reader, depth)
            return content if is_union else {case.name: content}

        return decode

    def _read_fields(self, fields: tuple[Field, ...], reader: Reader, depth: int) -> Value:
        if fields[0].name is not None:
            values: dict[str, Value] = {}
            for field in fields:
                try:
                    values[field.name or ""] = self.read(field.type, reader, depth)
                except ScaleError as error:
                    raise ScaleError(f"{field.name}: {error}") from None
            return values
        if len(fields) == 1:
            return self.read(fields[0].type, reader, depth)
        return tuple(self.read(field.type, reader, depth) for field in fields)

    def _sequence_decoder(self, item: int) -> _Decoder:
        if self.is_byte(item):
            return lambda reader, depth: reader.blob()

        def decode(reader: Reader, depth: int) -> Value:
            count = reader.compact()
            if count > reader.left:
                raise ScaleError(f"a list of {count} entries in {reader.left} bytes")
            return [self.read(item, reader, depth) for _ in range(count)]

        return decode

    def _compact_decoder(self, item: int) -> _Decoder:
        definition = self.registry[item].definition
        if definition == Tuple(()):
            return lambda reader, depth: ()
        while isinstance(definition, Composite):
            definition = self.registry[definition.fields[0].type].definition
        if not isinstance(definition, Primitive):
            raise ScaleError(f"no compact form of {self.describe(item)}")
        limit = 1 << 8 * _width(definition.name)

        def decode(reader: Reader, depth: int) -> Value:
            value = reader.compact()
            if value >= limit:
                raise ScaleError(f"compact integer {value} does not fit {definition.name}")
            return value

        return decode

    # Encoding

    def _encoder(self, type_id: int) -> _Encoder:
        portable = self.registry[type_id]
        match portable.definition:
            case Composite(fields):
                return self._composite_encoder(fields, portable.bound)
            case Variant() as variant:
                return self._variant_encoder(variant, portable.path == ("Option",), portable.name)
            case Sequence(item):
                if self.is_byte(item):
                    return lambda value: blob(bytes(value))
                return lambda value: compact(len(value)) + b"".join(self.encode(item, one) for one in value)
            case Array(length, item):
                return self._array_encoder(length, item)
            case Tuple(items):
                return lambda value: self._encode_all(items, value)
            case Primitive(name):
                return _primitive_encoder(name)
            case Compact(item):
                if self.registry[item].definition == Tuple(()):
                    return lambda value: b""
                return compact
            case BitSequence():
                raise ScaleError("bit sequences are not used by this chain and not encoded")

    def _encode_all(self, types: tuple[int, ...], values: Value) -> bytes:
        if len(values) != len(types):
            raise ScaleError(f"{len(values)} values given, {len(types)} wanted")
        return b"".join(self.encode(type_id, value) for type_id, value in zip(types, values, strict=True))

    def _composite_encoder(self, fields: tuple[Field, ...], bound: int | None) -> _Encoder:
        if len(fields) == 1 and fields[0].name is None:
            inner = fields[0].type

            def encode(value: Value) -> bytes:
                if bound is not None and len(value) > bound:
                    raise ScaleError(f"{len(value)} entries in a vector that holds at most {bound}")
                return self.encode(inner, value)

            return encode
        types = tuple(field.type for field in fields)
        if not fields or fields[0].name is None:
            return lambda value: self._encode_all(types, value)
        return lambda value: self._encode_named(fields, value)

    def _encode_named(self, fields: tuple[Field, ...], value: Value) -> bytes:
        pick = value.__getitem__ if isinstance(value, dict) else lambda name: getattr(value, name)
        parts = []
        for field in fields:
            try:
                parts.append(self.encode(field.type, pick(field.name)))
            except ScaleError as error:
                raise ScaleError(f"{field.name}: {error}") from None
        return b"".join(parts)

    def _variant_encoder(self, variant: Variant, is_option: bool, name: str) -> _Encoder:
        cases = {case.name: case for case in variant.cases}
        union: dict[type, str] = {}
        if name in self.unions:
            for case in variant.cases:
                union[self.records[self.registry[case.fields[0].type].name]] = case.name

        def encode(value: Value) -> bytes:
            if is_option:
                if value is None:
                    return b"\0"
                return b"\1" + self.encode(cases["Some"].fields[0].type, value)
            if union:
                value = {union[type(value)]: value}
            case_name, content = (value, ()) if isinstance(value, str) else next(iter(value.items()))
            case = cases.get(case_name)
            if case is None:
                raise ScaleError(f"{name} has no case {case_name}")
            prefix = bytes((case.index,))
            if not case.fields:
                return prefix
            if case.fields[0].name is not None:
                return prefix + self._encode_named(case.fields, content)
            if len(case.fields) == 1:
                return prefix + self.encode(case.fields[0].type, content)
            return prefix + self._encode_all(tuple(field.type for field in case.fields), content)

        return encode

    def _array_encoder(self, length: int, item: int) -> _Encoder:
        as_bytes = self.is_byte(item)

        def encode(value: Value) -> bytes:
            if len(value) != length:
                raise ScaleError(f"{len(value)} entries given for an array of {length}")
            if as_bytes:
                return bytes(value)
            return b"".join(self.encode(item, one) for one in value)

        return encode


def _width(name: str) -> int:
    return 4 if name == "char" else int(name[1:]) // 8


def _primitive_decoder(name: str) -> _Decoder:
    if name == "bool":
        return _read_bool
    if name == "str":
        return lambda reader, depth: reader.text()
    width = _width(name)
    if name.startswith("i"):
        return lambda reader, depth: reader.signed(width)
    return lambda reader, depth: reader.uint(width)


def _read_bool(reader: Reader, depth: int) -> bool:
    flag = reader.byte()
    if flag > 1:
        raise ScaleError(f"a bool is 0 or 1, not {flag}")
    return flag == 1


def _primitive_encoder(name: str) -> _Encoder:
    if name == "bool":
        return lambda value: b"\1" if value else b"\0"
    if name == "str":
        return lambda value: blob(value.encode())
    width = _width(name)
    if name.startswith("i"):
        return lambda value: value.to_bytes(width, "little", signed=True)
    return lambda value: uint(value, width)
