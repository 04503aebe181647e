"""Public addresses of a farm, as texts."""

from __future__ import annotations

import pytest

from tests.shared import cases, report_count
from tfchain.farm_ip import parse_farm_address


def test_texts_that_farmers_entered() -> None:
    case = cases("B024")
    verdicts = [result != "InvalidPublicIP" for result in case["expected"]["results"]]
    for (ip, gateway), is_valid in zip(case["input"]["rows"], verdicts, strict=True):
        if is_valid:
            parsed = parse_farm_address(ip, gateway)
            assert (str(parsed.interface), str(parsed.gateway)) == (ip, gateway)
        else:
            with pytest.raises(ValueError, match=r"192\.88\.99"):
                parse_farm_address(ip, gateway)
    report_count("farm address texts (B024)", len(verdicts))


@pytest.mark.parametrize(
    ("ip", "gateway", "part"),
    [
        ("1.2.3.4/24", "1.2.4.1", "outside 1.2.3.0/24"),
        ("1.2.3.4/24", "1.2.3.4", "itself"),
        ("1.2.3.4/024", "1.2.3.1", "'024'"),
        ("1.2.3.4/²", "1.2.3.1", "no prefix length"),
        ("1.2.3.4/255.255.255.0", "1.2.3.1", "no prefix length"),
        ("2001:db8::1/64", "2001:db8::2", "not IPv4"),
        ("", "", "no prefix length"),
        ("1.2.3.4/24", "", "not a plain IPv4"),
    ],
)
def test_a_wrong_text_is_named(ip: str, gateway: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_farm_address(ip, gateway)


def test_the_smallest_networks_are_taken() -> None:
    assert parse_farm_address("1.2.3.4/31", "1.2.3.5").interface.network.prefixlen == 31
    assert parse_farm_address("1.2.3.4/0", "9.9.9.9").interface.network.prefixlen == 0
