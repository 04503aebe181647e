"""Which release the chain lets a node take."""

from __future__ import annotations

import json

import pytest

from images.boot.approval import Approved, parse, why_not


def value(version: str, light: str = "", *, safe: bool) -> Approved:
    return parse(json.dumps({"safe_to_upgrade": safe, "version": version, "version_light": light}))


def test_a_plain_text_is_a_version_that_is_safe() -> None:
    assert parse("v3.10.4") == Approved("v3.10.4", "v3.10.4", safe=True)
    assert parse("") == Approved("", "", safe=True)
    assert parse("3") == Approved("3", "3", safe=True)
    assert parse('{"version": "v1"}') == Approved("v1", "", safe=False)
    assert parse("[" * 100_000).safe


@pytest.mark.parametrize("mode", ["qa", "test", "prod"])
def test_offer_and_approval_have_to_agree(mode: str) -> None:
    assert why_not("v3.11", value("v3.11", safe=True), mode=mode, farm=1) == ""
    reason = why_not("v3.11", value("v3.10", safe=True), mode=mode, farm=1)
    assert "v3.11" in reason
    assert "v3.10" in reason
    assert why_not("v3.11", parse(""), mode=mode, farm=1)


def test_dev_takes_any_version_but_waits_until_it_is_safe() -> None:
    assert why_not("9", value("8", safe=True), mode="dev", farm=1) == ""
    assert why_not("9", parse(""), mode="dev", farm=1) == ""
    assert "safe" in why_not("9", value("9", safe=False), mode="dev", farm=1)


def test_farms_for_tests_take_it_first() -> None:
    early = value("v3.11", safe=False)
    assert why_not("v3.11", early, mode="prod", farm=79, test_farms=(1, 79)) == ""
    assert why_not("v3.11", early, mode="prod", farm=80, test_farms=(1, 79))
    assert why_not("v3.12", early, mode="prod", farm=79, test_farms=(79,))


def test_a_light_node_follows_its_own_version() -> None:
    both = value("v3.11", "v3.11-light", safe=True)
    assert why_not("v3.11-light", both, mode="prod", farm=1, light=True) == ""
    assert why_not("v3.11", both, mode="prod", farm=1, light=True)
