"""Values of the chain in the form of the recorded vectors, both ways.

Texts are strings, other bytes `0x…`, account ids addresses; byte arrays are always `0x…`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfchain.codec.address import decode_address, encode_address
from tfchain.codec.metadata import Metadata
from tfchain.codec.types import (
    Array,
    Compact,
    Composite,
    Field,
    Primitive,
    Registry,
    Sequence,
    Tuple,
    Variant,
)
from tfchain.codec.values import Codec

_U8 = Primitive("u8")


class Plain:
    def __init__(self, metadata: Metadata) -> None:
        # Without our bounds, as clients encode that know the metadata only.
        self.registry = Registry(tuple(replace(portable, bound=None) for portable in metadata.registry))
        self.codec = Codec(self.registry)

    def decode(self, type_id: int, data: bytes) -> Any:
        return self.show(type_id, self.codec.decode(type_id, data))

    def show(self, type_id: int, value: Any) -> Any:
        portable = self.registry[type_id]
        if portable.path[-1:] == ("AccountId32",):
            return encode_address(value)
        match portable.definition:
            case Composite(fields):
                return self._show_fields(fields, value)
            case Variant() as variant:
                if portable.path == ("Option",):
                    return None if value is None else self.show(portable.parameters[0].type or 0, value)
                if isinstance(value, str):
                    return value
                ((name, content),) = value.items()
                case = variant.case(name)
                assert case is not None
                return {name: self._show_fields(case.fields, content)}
            case Sequence(item):
                if self.registry[item].definition == _U8:
                    return _text(value)
                return [self.show(item, each) for each in value]
            case Array(_, item):
                if self.registry[item].definition == _U8:
                    return "0x" + value.hex()
                return [self.show(item, each) for each in value]
            case Tuple(items):
                return [self.show(item, each) for item, each in zip(items, value, strict=True)]
        return value

    def _show_fields(self, fields: tuple[Field, ...], value: Any) -> Any:
        if len(fields) == 1 and fields[0].name is None:
            return self.show(fields[0].type, value)
        if fields and fields[0].name is not None:
            return {field.name: self.show(field.type, value[field.name]) for field in fields}
        return [self.show(field.type, each) for field, each in zip(fields, value, strict=True)]

    def read(self, type_id: int, given: Any) -> Any:
        """The codec's value of what a vector gives as an argument."""
        portable = self.registry[type_id]
        if portable.path[-1:] == ("AccountId32",):
            return decode_address(given)
        if portable.path[-1:] == ("MultiAddress",):
            return {"Id": decode_address(given)}
        match portable.definition:
            case Composite(fields) if len(fields) == 1 and fields[0].name is None:
                return self.read(fields[0].type, given)
            case Composite(fields):
                return {field.name: self.read(field.type, given[field.name]) for field in fields}
            case Variant():
                if portable.path == ("Option",):
                    return None if given is None else self.read(portable.parameters[0].type or 0, given)
                return given
            case Sequence(item) | Array(_, item):
                if self.registry[item].definition == _U8:
                    return _bytes(given)
                return [self.read(item, each) for each in given]
            case Compact(item):
                return self.read(item, given)
        return given


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return text if text.isprintable() else "0x" + value.hex()


def _bytes(given: str) -> bytes:
    return bytes.fromhex(given[2:]) if given.startswith("0x") else given.encode()
