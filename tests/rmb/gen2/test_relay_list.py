from __future__ import annotations

import pytest

from rmb.gen2.relay_list import RelayList
from tests.shared import cases


def test_the_public_report_on_relay_lists() -> None:
    """B017: what a careful user wants to hear at start, not after months."""
    configs = cases("B017")["input"]["configs"]
    with pytest.raises(ValueError, match="at least one"):
        RelayList.parse(configs["none"])
    assert RelayList.parse(configs["one"]).twin_field == "relay1.example.org"
    assert len(RelayList.parse(configs["four"]).hosts) == 4
    with pytest.raises(ValueError, match="5 relays are configured, a twin has at most 4"):
        RelayList.parse(configs["five"])
    assert RelayList.parse(configs["twice"]).hosts == ("relay1.example.org",)
    with_port = RelayList.parse(configs["port"])
    assert with_port.urls == tuple(configs["port"])
    assert with_port.twin_field == "relay1.example.org"
    assert "others will look for relay1.example.org on the standard port" in with_port.warnings[0]
    with pytest.raises(ValueError, match="switch off the update of the twin"):
        RelayList.parse(configs["address"])
    assert RelayList.parse(configs["address"], update_twin=False).urls == tuple(configs["address"])


def test_a_record_matches_in_any_order() -> None:
    relays = RelayList.parse(["wss://a.example.org", "wss://b.example.org"])
    assert relays.warnings == ()
    assert relays.matches("b.example.org_A.example.org")
    assert not relays.matches("a.example.org")
    assert not relays.matches(None)


@pytest.mark.parametrize(
    "url", ["", "relay.example.org", "https://relay.example.org", "wss://", "wss://a:99999", "ws://a_b"]
)
def test_what_is_no_relay_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="relay"):
        RelayList.parse([url])
