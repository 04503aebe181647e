"""Block headers: encoding, hash, and the JSON form of the RPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from tfchain.codec.hashing import blake2_256
from tfchain.codec.scale import Reader, ScaleError, blob, compact

AURA = b"aura"


class DigestJson(TypedDict):
    logs: list[str]


class HeaderJson(TypedDict):
    parentHash: str
    number: str
    stateRoot: str
    extrinsicsRoot: str
    digest: DigestJson


@dataclass(frozen=True, slots=True)
class Header:
    """A header; `logs` are encoded digest items."""

    parent: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    logs: tuple[bytes, ...]

    def encode(self) -> bytes:
        return (
            self.parent
            + compact(self.number)
            + self.state_root
            + self.extrinsics_root
            + compact(len(self.logs))
            + b"".join(self.logs)
        )

    @property
    def hash(self) -> bytes:
        return blake2_256(self.encode())

    def to_json(self) -> HeaderJson:
        return {
            "parentHash": "0x" + self.parent.hex(),
            "number": hex(self.number),
            "stateRoot": "0x" + self.state_root.hex(),
            "extrinsicsRoot": "0x" + self.extrinsics_root.hex(),
            "digest": {"logs": ["0x" + log.hex() for log in self.logs]},
        }

    @classmethod
    def from_json(cls, json: HeaderJson) -> Header:
        """Read the RPC's form; numbers may carry leading zeros."""
        return cls(
            bytes.fromhex(json["parentHash"][2:]),
            int(json["number"], 16),
            bytes.fromhex(json["stateRoot"][2:]),
            bytes.fromhex(json["extrinsicsRoot"][2:]),
            tuple(bytes.fromhex(log[2:]) for log in json["digest"]["logs"]),
        )

    @classmethod
    def decode(cls, data: bytes) -> Header:
        reader = Reader(data)
        parent, number = reader.take(32), reader.compact()
        state_root, extrinsics_root = reader.take(32), reader.take(32)
        logs = tuple(_read_log(reader) for _ in range(reader.compact()))
        reader.done()
        return cls(parent, number, state_root, extrinsics_root, logs)


def pre_runtime(slot: int) -> bytes:
    """The digest item that Aura puts into every block: its slot."""
    return b"\6" + AURA + blob(slot.to_bytes(8, "little"))


def _read_log(reader: Reader) -> bytes:
    start = reader.position
    kind = reader.byte()
    if kind in (4, 5, 6):
        reader.take(4)
        reader.blob()
    elif kind == 0:
        reader.blob()
    elif kind != 8:
        raise ScaleError(f"no digest item of kind {kind}")
    return reader.data[start : reader.position]
