"""Bytes from anybody: they are decoded or refused with `ScaleError`, with memory bounded by their own length."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared import vector_file, vectors
from tfchain.codec import metadata as v14
from tfchain.codec.extrinsic import decode_extrinsic
from tfchain.codec.header import Header
from tfchain.codec.scale import Reader, ScaleError, compact
from tfchain.devchain.interface import interface

MEMORY_LIMIT = 32 << 20
"""Far above what decoding needs, far below what the lengths in the bytes claim."""


def decode_events(data: bytes) -> Any:
    return interface().codec.decode(interface().event_records_type, data)


def read_blobs(data: bytes) -> list[bytes]:
    reader = Reader(data)
    return [reader.blob() for _ in range(reader.compact())]


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "call": lambda data: interface().decode_call(data),
    "extrinsic": decode_extrinsic,
    "header": Header.decode,
    "events": decode_events,
    "blobs": read_blobs,
    "metadata": v14.parse,
}


@cache
def seeds() -> dict[str, list[bytes]]:
    """Recorded bytes, by what they are."""
    found: dict[str, list[bytes]] = {name: [b""] for name in DECODERS}
    recorded = vectors("tfchain")

    def collect(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                collect(each, key)
        elif isinstance(value, list):
            for each in value:
                collect(each, name)
        elif isinstance(value, str) and value.startswith("0x") and len(value) > 40:
            try:
                data = bytes.fromhex(value[2:])
            except ValueError:
                return
            for decoder, decode in DECODERS.items():
                try:
                    decode(data)
                except ScaleError:
                    continue
                found[decoder].append(data)

    collect(recorded, "")
    found["metadata"].append(
        bytes.fromhex(vector_file("tfchain-metadata-149.scale.hex").read_text().strip()[2:])
    )
    return found


@pytest.mark.parametrize("name", list(DECODERS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes_decode_or_are_refused(name: str, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(seeds()[name])))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, max(0, len(seed) - 1)))
        seed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
    try:
        DECODERS[name](bytes(seed))
    except ScaleError:
        pass


@pytest.mark.parametrize("name", list(DECODERS))
@pytest.mark.parametrize("length", [2**30 - 1, 2**32 - 1, 2**63, 2**536 - 1])
def test_lengths_larger_than_the_message_cost_nothing(name: str, length: int) -> None:
    bombs = [compact(length), compact(length) * 40, compact(4) + compact(length) * 40]
    if name == "metadata":
        bombs = [b"meta\x0e" + bomb for bomb in bombs]
    tracemalloc.start()
    try:
        for bomb in bombs:
            with pytest.raises(ScaleError):
                DECODERS[name](bomb)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()
