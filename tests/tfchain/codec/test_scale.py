"""Strictness of the codec, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfchain.codec.address import AddressError, decode_address, encode_address
from tfchain.codec.extrinsic import Era
from tfchain.codec.scale import Reader, ScaleError, compact
from tfchain.devchain.interface import interface


@given(st.integers(min_value=0, max_value=2**536 - 1))
def test_compact_integers_survive(number: int) -> None:
    reader = Reader(compact(number))
    assert reader.compact() == number
    reader.done()


@pytest.mark.parametrize("text", ["0100", "02000000", "0300000000", "0b00000000000000"])
def test_compact_integers_longer_than_needed_are_refused(text: str) -> None:
    with pytest.raises(ScaleError, match="shortest"):
        Reader(bytes.fromhex(text)).compact()


@given(st.binary(max_size=200))
def test_any_bytes_as_a_call_either_decode_or_are_refused(data: bytes) -> None:
    try:
        call = interface().decode_call(data)
    except ScaleError:
        return
    assert interface().encode_call(call.pallet, call.name, call.arguments) == data


@given(st.integers(min_value=0, max_value=16), st.integers(min_value=0, max_value=2**32 - 100_000))
def test_a_mortal_era_is_born_at_or_before_the_block_for_which_it_was_made(power: int, block: int) -> None:
    era = Era.mortal(1 << power, block)
    assert Era.read(Reader(era.encode())) == era
    assert era.birth(block) <= block < (era.death(block) or 0)


def test_a_deeply_nested_call_is_refused_and_not_followed() -> None:
    inner = bytes.fromhex("000000")
    for _ in range(400):
        inner = bytes((3, 0)) + compact(1) + inner
    with pytest.raises(ScaleError, match="nested"):
        interface().decode_call(inner)


@given(st.binary(min_size=32, max_size=32))
def test_addresses_survive_and_a_changed_letter_is_noticed(account: bytes) -> None:
    address = encode_address(account)
    assert decode_address(address) == account
    changed = address[:-1] + ("1" if address[-1] != "1" else "2")
    with pytest.raises(AddressError):
        decode_address(changed)
