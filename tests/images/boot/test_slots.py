"""Two image slots, three tries, and the one that worked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.boot.slots import MEDIUM, MOST_TRIES, SlotError, SlotState, enter, healthy, install, parse

BOTH = {"A": True, "B": True}


def test_without_slots_the_medium_runs() -> None:
    assert enter(SlotState(), "", {}).slot == MEDIUM


def test_a_new_image_is_entered_and_counted_and_becomes_good() -> None:
    slot, state = install(SlotState(), "2.0")
    assert slot == "A"
    entry = enter(state, "", BOTH)
    assert (entry.slot, entry.state.tries) == ("A", 1)
    good = healthy(entry.state, "A")
    assert (good.good, good.tries) == (True, 0)
    assert enter(good, "", BOTH).state == good


def test_three_failed_tries_fall_back_to_the_one_that_worked() -> None:
    _, first = install(SlotState(), "1.0")
    first = healthy(first, "A")
    slot, state = install(first, "2.0")
    assert slot == "B"
    for _ in range(MOST_TRIES):
        entry = enter(state, "", BOTH)
        assert entry.slot == "B"
        state = entry.state
    entry = enter(state, "", BOTH)
    assert entry.slot == "A"
    assert "2.0 in slot B" in entry.message
    assert "1.0 in slot A" in entry.message
    assert entry.state.good


def test_when_both_fail_the_medium_runs() -> None:
    _, state = install(SlotState(), "1.0")
    state = replace(state, tries=MOST_TRIES)
    entry = enter(state, "", BOTH)
    assert entry.slot == MEDIUM
    assert "medium" in entry.message
    assert enter(entry.state, "", BOTH).slot == MEDIUM


def test_a_damaged_slot_is_never_entered() -> None:
    _, state = install(healthy(install(SlotState(), "1.0")[1], "A"), "2.0")
    assert enter(state, "", {"A": True, "B": False}).slot == "A"
    assert enter(state, "", {"A": False, "B": False}).slot == MEDIUM
    assert enter(state, "", {}).slot == MEDIUM


def test_rescue_and_a_running_slot_do_not_jump_again() -> None:
    _, state = install(SlotState(), "1.0")
    for running in ("A", "B", "rescue"):
        entry = enter(state, running, BOTH)
        assert (entry.slot, entry.state) == (MEDIUM, state)


def test_an_image_on_trial_is_replaced_without_losing_the_good_one() -> None:
    good = healthy(install(SlotState(), "1.0")[1], "A")
    _, trial = install(good, "2.0")
    slot, state = install(trial, "3.0")
    assert (slot, state.previous) == ("B", "A")
    assert state.versions == {"A": "1.0", "B": "3.0"}


def test_state_survives_and_rubbish_is_refused() -> None:
    _, state = install(SlotState(), "1.0")
    assert parse(state.to_json()) == state
    for content in (
        b"",
        b"{}",
        b"[]",
        b'{"current": "C", "previous": "", "tries": 0, "good": true, "versions": {}}',
    ):
        with pytest.raises(SlotError):
            parse(content)
