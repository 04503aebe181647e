"""The planetary address of a twin follows from its key alone."""

from __future__ import annotations

import pytest

from tests.shared import report_count, vectors
from tfchain.planetary_address import planetary_address


def test_addresses_of_the_vectors_are_derived() -> None:
    rows = vectors("network")["yggdrasil"]
    for row in rows:
        assert str(planetary_address(bytes.fromhex(row["public"]))) == row["address"]
    report_count("planetary addresses", len(rows))


def test_keys_with_no_bit_after_the_ones_have_an_address() -> None:
    assert planetary_address(bytes(32)).packed[:2] == b"\x02\x00"
    assert planetary_address(b"\xff" * 32).packed == b"\x02\x00" + bytes(14)
    assert planetary_address(bytes(31) + b"\x01").packed == b"\x02\xff" + bytes(14)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="33"):
        planetary_address(bytes(33))
