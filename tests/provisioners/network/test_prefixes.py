"""Which destinations stay closed to guests."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from provisioners.system.prefixes import NEVER_PUBLIC, closed_prefixes


def test_the_lan_is_closed_also_when_it_has_public_addresses() -> None:
    closed = closed_prefixes([ip_network("185.206.122.0/24"), ip_network("2001:db8:5::/64")], [])
    for text in ("192.168.1.1", "10.99.0.254", "185.206.122.9", "fe80::1", "2001:db8:5::9", "100.127.0.1"):
        assert any(ip_address(text) in network for network in closed), text
    for text in ("198.18.0.1", "8.8.8.8", "2606:4700::1", "303:45bf::1"):
        assert not any(ip_address(text) in network for network in closed), text


def test_an_opened_prefix_is_open_and_nothing_else() -> None:
    closed = closed_prefixes([], [ip_network("10.99.0.128/25")])
    assert not any(ip_address("10.99.0.200") in network for network in closed)
    assert any(ip_address("10.99.0.127") in network for network in closed)
    assert any(ip_address("10.99.1.0") in network for network in closed)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_opening_takes_away_exactly_what_it_names(hole: object, length: int, probe: object) -> None:
    opened = ip_network(f"{hole}/{length}", strict=False)
    closed = closed_prefixes([], [opened])
    was_closed = any(probe in network for network in NEVER_PUBLIC)
    assert any(probe in network for network in closed) == (was_closed and probe not in opened)
