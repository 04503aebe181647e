"""Words, sources and settings of a boot."""

from __future__ import annotations

import pytest

from images.boot.settings import BootSettings, load_modes, read_settings
from images.boot.sources import Source, merge
from images.boot.words import MOST_TEXT, parse

MODES = load_modes()


def settings(line: str = "", **others: str) -> BootSettings:
    texts = {Source.COMMAND_LINE: line, **{Source[name.upper()]: text for name, text in others.items()}}
    return read_settings(merge(texts), MODES)


def test_words_are_split_like_a_shell_and_at_the_first_equals_sign() -> None:
    assert parse('a=1 a=2 b="x y" c k=v=w').words == {
        "a": ("1", "2"),
        "b": ("x y",),
        "c": (),
        "k": ("v=w",),
    }


def test_a_bare_key_forgets_values_before_it() -> None:
    assert parse("a=1 a a=2").words == {"a": ("2",)}
    assert parse("a=1 a").words == {"a": ()}


@pytest.mark.parametrize("text", ['a="x', "a='", "=", '"', "\0", "a=" + "x" * 2 * MOST_TEXT, " \n\t"])
def test_odd_texts_are_reported_and_never_an_exception(text: str) -> None:
    settings(text, dhcp=text, file=text)


def test_without_anything_the_node_is_an_orphan_in_prod() -> None:
    found = settings()
    assert (found.farm, found.mode, found.problems) == (0, "prod", ())
    assert found.services == MODES["prod"]


def test_the_first_farm_and_mode_win_and_the_last_vlan() -> None:
    found = settings("runmode=dev farmer_id=7 runmode=qa farmer_id=8 vlan:priv=3 vlan:priv=302")
    assert (found.farm, found.mode, found.vlan_private) == (7, "dev", 302)


@pytest.mark.parametrize("text", ["abc", "0", "-1", "4294967296", "1.5", "", "٣"])
def test_a_wrong_farm_is_a_sentence_with_value_and_source(text: str) -> None:
    found = settings(f"farmer_id={text}", dhcp="farmer_id=9")
    assert found.farm == 0
    (problem,) = found.problems
    assert text in problem
    assert "command line" in problem


def test_a_wrong_value_does_not_fall_through_to_the_lan() -> None:
    found = settings("farmer_id=abc", firmware="farmer_id=1", dhcp="farmer_id=9 runmode=dev")
    assert (found.farm, found.mode) == (0, "dev")


def test_each_source_works_alone_and_the_higher_one_wins() -> None:
    for name in ("firmware", "file", "dhcp"):
        found = settings("", **{name: "farmer_id=5 runmode=test"})
        assert (found.farm, found.mode) == (5, "test")
    both = settings("quiet", firmware="farmer_id=77", file="farmer_id=88 runmode=qa")
    assert (both.farm, both.farm_source) == (77, "firmware configuration")
    assert (both.mode, both.mode_source) == ("qa", "node.cfg")


def test_a_bare_key_stops_lower_sources() -> None:
    assert settings("farmer_id", dhcp="farmer_id=9").farm == 0


def test_dhcp_may_not_name_services_or_people() -> None:
    found = settings(
        "runmode=dev",
        dhcp="ssh-user=x substrate=ws://evil relay=ws://evil activation=http://evil secret=x vlan:priv=3 farmer_id=4",
    )
    assert found.services == MODES["dev"]
    assert (found.farm, found.vlan_private) == (4, None)
    assert "substrate" in found.problems[0]


def test_lists_replace_the_table_and_are_not_merged() -> None:
    found = settings("substrate=ws://a substrate=wss://b relay=ftp://c", firmware="substrate=ws://z")
    assert found.services.substrate == ("ws://a", "wss://b")
    assert found.services.relay == ()
    assert "ftp://c" in found.problems[0]
    assert found.services.activation == MODES["prod"].activation


def test_at_most_four_relays() -> None:
    found = settings(" ".join(f"relay=ws://r{number}" for number in range(6)))
    assert len(found.services.relay) == 4
    assert found.problems


@pytest.mark.parametrize("text", ["none", "untagged", "un"])
def test_untagged_is_absence(text: str) -> None:
    assert settings(f"vlan:priv={text}").vlan_private is None
    assert not settings(f"vlan:priv={text}").problems


@pytest.mark.parametrize("text", ["x", "0", "4095", "99999", ""])
def test_a_wrong_vlan_is_reported(text: str) -> None:
    assert settings(f"vlan:priv={text}").problems


def test_an_unknown_mode_has_no_services_and_says_so() -> None:
    found = settings("runmode=main substrate=ws://a")
    assert found.mode == ""
    assert found.services.substrate == ()
    assert "main" in found.problems[0]
    assert "stick" in found.problems[0]


def test_long_mode_names_are_known() -> None:
    assert settings("runmode=production").mode == "prod"
    assert settings("runmode=development").mode == "dev"


def test_nobody_logs_in_to_prod() -> None:
    assert settings("ssh-user=me").problems
    assert not settings("ssh-user=me runmode=dev").problems


def test_hosts_of_images_and_test_farms_are_lists_of_checked_values() -> None:
    found = settings(
        "node.images=10.0.2.2 node.images=hub.farm node.images=a/b node.config=http://c/dev.json"
    )
    assert found.image_hosts == ("10.0.2.2", "hub.farm")
    assert found.remote == "http://c/dev.json"
    (problem,) = found.problems
    assert "node.images=a/b" in problem
    assert settings("node.test-farm=3 node.test-farm=x").test_farms == (3,)


def test_an_exchanged_mac_address_is_said_not_to_be_offered() -> None:
    (problem,) = settings("pub:mac=swap").problems
    assert "swap" in problem
    assert settings("pub:mac=random").problems == ()
