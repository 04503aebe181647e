"""The chain's interface at run time: metadata, codec, and look-ups by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tfchain.codec import metadata as v14
from tfchain.codec.scale import Reader, ScaleError
from tfchain.codec.types import Case, Variant
from tfchain.codec.values import Codec, Value
from tfchain.devchain import declarations, interface_builder
from tfchain.devchain.records import RECORDS, UNIONS


@dataclass(frozen=True, slots=True)
class Call:
    """A decoded call."""

    pallet: str
    name: str
    arguments: Mapping[str, Value]


class Interface:
    """Metadata and codec of one spec version."""

    def __init__(self, metadata: v14.Metadata) -> None:
        self.metadata = metadata
        self.encoded = v14.encode(metadata)
        self.codec = Codec(metadata.registry, RECORDS, UNIONS)
        self.call_type = metadata.extrinsic_parameter("Call")
        self.event_records_type = metadata.event_type
        self.version: dict[str, Any] = self.constant("System", "Version")
        """The constant `System.Version`; what `state_getRuntimeVersion` answers is made of it."""

    def at_version(self, spec_version: int) -> Interface:
        """The same interface under another spec version, as after an upgrade that changed nothing else."""
        if spec_version == self.version["spec_version"]:
            return self
        system = self.metadata.pallet("System")
        constant = system.constant("Version")
        version = {**self.version, "spec_version": spec_version}
        changed = replace(constant, value=self.codec.encode(constant.type, version))
        constants = tuple(changed if each is constant else each for each in system.constants)
        pallets = tuple(
            replace(each, constants=constants) if each is system else each for each in self.metadata.pallets
        )
        return Interface(replace(self.metadata, pallets=pallets))

    def constant(self, pallet: str, name: str) -> Value:
        constant = self.metadata.pallet(pallet).constant(name)
        return self.codec.decode(constant.type, constant.value)

    def decode_call(self, data: bytes) -> Call:
        """Decode a whole call; raises `ScaleError`."""
        return as_call(self.codec.decode(self.call_type, data))

    def encode_call(self, pallet: str, name: str, arguments: Mapping[str, Value]) -> bytes:
        inner: Value = {name: dict(arguments)} if arguments else name
        return self.codec.encode(self.call_type, {pallet: inner})

    def read_call(self, reader: Reader) -> Call:
        return as_call(self.codec.read(self.call_type, reader))

    def call_case(self, pallet: str, name: str) -> Case:
        """The declaration of a call; raises KeyError."""
        return self._case(self.metadata.pallet(pallet).calls, pallet, name)

    def event_case(self, pallet: str, name: str) -> Case:
        return self._case(self.metadata.pallet(pallet).events, pallet, name)

    def error_index(self, pallet: str, name: str) -> int:
        return self._case(self.metadata.pallet(pallet).errors, pallet, name).index

    def error_name(self, pallet_index: int, error_index: int) -> tuple[str, str]:
        """Pallet and name of a module error; raises KeyError."""
        for pallet in self.metadata.pallets:
            if pallet.index == pallet_index and pallet.errors is not None:
                for case in self._variant(pallet.errors).cases:
                    if case.index == error_index:
                        return pallet.name, case.name
        raise KeyError(f"no error {error_index} in pallet {pallet_index}")

    def _variant(self, type_id: int) -> Variant:
        definition = self.metadata.registry[type_id].definition
        if not isinstance(definition, Variant):
            raise KeyError(f"type {type_id} is no enum")
        return definition

    def _case(self, type_id: int | None, pallet: str, name: str) -> Case:
        case = None if type_id is None else self._variant(type_id).case(name)
        if case is None:
            raise KeyError(f"{pallet} has no {name}")
        return case


def as_call(value: Value) -> Call:
    """A decoded value of the type RuntimeCall, taken apart."""
    if not isinstance(value, dict):
        raise ScaleError(f"{value!r} is no call")
    ((pallet, inner),) = value.items()
    if isinstance(inner, str):
        return Call(pallet, inner, {})
    ((name, arguments),) = inner.items()
    return Call(pallet, name, arguments)


@lru_cache(maxsize=1)
def interface() -> Interface:
    """The interface made from the declaration files of this package."""
    return Interface(interface_builder.build(declarations.load()))
