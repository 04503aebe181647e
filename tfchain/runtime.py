"""One runtime version of a chain: how its storage, calls, events and errors are written.  Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfchain.codec.hashing import storage_key, storage_prefix
from tfchain.codec.metadata import Metadata, StorageEntry, parse
from tfchain.codec.scale import ScaleError
from tfchain.codec.types import Case, Tuple, Variant
from tfchain.codec.values import Codec, Value
from tfchain.models.block import Event
from tfchain.models.values import variant


@dataclass(frozen=True, slots=True)
class Version:
    """What an extrinsic must be signed for; numbers as in `state_getRuntimeVersion`."""

    spec: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call by name; arguments are by name, texts and accounts as bytes."""

    pallet: str
    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.pallet}.{self.name}"


class Runtime:
    """Everything that metadata says, ready for use.  Raises `ScaleError` for what does not fit it."""

    def __init__(self, metadata: bytes, version: Version) -> None:
        self.version = version
        self.metadata: Metadata = parse(metadata)
        self.codec = Codec(self.metadata.registry)

    def storage_key(self, pallet: str, item: str, *keys: Value) -> bytes:
        """The key of a storage value; `keys` are the map keys."""
        entry = self._entry(pallet, item)
        if len(keys) != len(entry.hashers):
            raise ScaleError(f"{pallet}.{item} takes {len(entry.hashers)} keys, {len(keys)} were given")
        types = self._key_types(entry)
        encoded = [self.codec.encode(type_id, key) for type_id, key in zip(types, keys, strict=True)]
        return storage_key(self._prefix(pallet), item, tuple(zip(entry.hashers, encoded, strict=True)))

    def map_prefix(self, pallet: str, item: str) -> bytes:
        """The bytes with which all keys of a storage map begin."""
        self._entry(pallet, item)
        return storage_prefix(self._prefix(pallet), item)

    def storage_value(self, pallet: str, item: str, raw: bytes | None) -> Value:
        """Decode a stored value; a missing one is None or the default that metadata gives."""
        entry = self._entry(pallet, item)
        if raw is None:
            return None if entry.optional else self.codec.decode(entry.value, entry.default)
        return self.codec.decode(entry.value, raw)

    def constant(self, pallet: str, name: str) -> Value:
        try:
            constant = self.metadata.pallet(pallet).constant(name)
        except KeyError as error:
            raise ScaleError(self._missing(error)) from None
        return self.codec.decode(constant.type, constant.value)

    def encode_call(self, call: Call) -> bytes:
        """The bytes of a call, as they stand in an extrinsic."""
        return self.codec.encode(self.metadata.extrinsic_parameter("Call"), self.call_value(call))

    def call_value(self, call: Call) -> Value:
        """A call as a value, to be put into another call (`Utility.batch_all`)."""
        self._case(call.pallet, self.metadata.pallet(call.pallet).calls, call.name)
        return {call.pallet: {call.name: dict(call.arguments)} if call.arguments else call.name}

    def events(self, raw: bytes | None) -> tuple[Event, ...]:
        """Decode the value of System.Events."""
        records = self.storage_value("System", "Events", raw)
        return tuple(self._event(record) for record in records)

    def dispatch_error(self, error: Value) -> tuple[str, str]:
        """Module and name of a `DispatchError` value; the module is empty for errors of no pallet."""
        kind, content = variant(error)
        if kind != "Module":
            detail = variant(content)[0] if isinstance(content, (str, Mapping)) and content else ""
            return "", f"{kind}.{detail}" if detail else kind
        for pallet in self.metadata.pallets:
            if pallet.index == content["index"]:
                code = content["error"][0]
                for case in self._cases(pallet.errors):
                    if case.index == code:
                        return pallet.name, case.name
                return pallet.name, f"error {code}"
        return f"pallet {content['index']}", f"error {content['error'][0]}"

    def _event(self, record: Value) -> Event:
        phase, index = variant(record["phase"])
        pallet, inner = variant(record["event"])
        name, content = variant(inner)
        case = self._case(pallet, self.metadata.pallet(pallet).events, name)
        return Event(pallet, name, _attributes(case, content), index if phase == "ApplyExtrinsic" else None)

    def _entry(self, pallet: str, item: str) -> StorageEntry:
        try:
            return self.metadata.pallet(pallet).entry(item)
        except KeyError as error:
            raise ScaleError(self._missing(error)) from None

    def _key_types(self, entry: StorageEntry) -> tuple[int, ...]:
        if entry.key is None:
            return ()
        if len(entry.hashers) == 1:
            return (entry.key,)
        definition = self.metadata.registry[entry.key].definition
        if not isinstance(definition, Tuple):
            raise ScaleError(f"the key of {entry.name} is no tuple but has {len(entry.hashers)} hashers")
        return definition.items

    def _prefix(self, pallet: str) -> str:
        return self.metadata.pallet(pallet).prefix or pallet

    def _cases(self, type_id: int | None) -> tuple[Case, ...]:
        definition = None if type_id is None else self.metadata.registry[type_id].definition
        return definition.cases if isinstance(definition, Variant) else ()

    def _case(self, pallet: str, type_id: int | None, name: str) -> Case:
        for case in self._cases(type_id):
            if case.name == name:
                return case
        raise ScaleError(f"{pallet}.{name} does not exist in spec version {self.version.spec}")

    def _missing(self, error: KeyError) -> str:
        return f"{error.args[0]} in spec version {self.version.spec}"


def _attributes(case: Case, content: Value) -> dict[str, Value]:
    if not case.fields:
        return {}
    if case.fields[0].name is not None:
        return dict(content)
    values = (content,) if len(case.fields) == 1 else content
    return {str(place): value for place, value in enumerate(values)}
