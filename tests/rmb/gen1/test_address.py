from __future__ import annotations

import pytest

from rmb.gen1.address import split_address


@pytest.mark.parametrize(
    "address",
    ["", ":8051", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "[::1", "[::1]x", "[zz]:1", "1::2::3", "a/b"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        split_address(address)


def test_the_port_is_optional() -> None:
    assert split_address("[200::1]") == ("200::1", 8051)
    assert split_address("200::1", 9) == ("200::1", 9)
    assert split_address("host.example:80") == ("host.example", 80)
