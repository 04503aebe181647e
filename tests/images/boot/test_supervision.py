"""Order, readiness, retries and shutdown of units, with a clock of our own."""

from __future__ import annotations

import signal

import pytest

from images.boot.log_ring import LogRing
from images.boot.supervision import (
    LONGEST_PAUSE_S,
    MOST_MISSES,
    PROBE_LIMIT_S,
    EndProbe,
    Probe,
    Signal,
    Start,
    State,
    Supervision,
)
from images.boot.unit import Unit, UnitError, parse_unit


def unit(name: str, *after: str, oneshot: bool = False, test: str = "", health: float = 0.0) -> Unit:
    return Unit(name, ("/bin/x",), (test,) if test else (), oneshot, after, health=health)


def begin(supervision: Supervision, now: float) -> list[str]:
    names = [order.name for order in supervision.step(now) if isinstance(order, Start)]
    for name in names:
        supervision.started(name, now)
    return names


def test_a_unit_waits_until_all_before_it_are_ready() -> None:
    units = Supervision([unit("c", "a", "b"), unit("a", oneshot=True), unit("b")])
    assert begin(units, 0) == ["a", "b"]
    assert begin(units, 1) == []
    assert units.waits_for("c") == ["a"]
    units.exited("a", 0, 2)
    assert begin(units, 2) == ["c"]


def test_an_unknown_name_blocks_and_its_definition_releases() -> None:
    units = Supervision([unit("a", "later")])
    assert begin(units, 0) == []
    units.monitor(unit("later"), 1)
    assert begin(units, 1) == ["later"]
    assert begin(units, 1) == ["a"]


def test_the_probe_is_repeated_until_it_succeeds_and_dependants_wait() -> None:
    units = Supervision([unit("a", test="/bin/t"), unit("b", "a")])
    begin(units, 0)
    assert units.step(0) == [Probe("a")]
    units.probed("a", False, 1)
    assert units.step(2.9) == []
    assert units.step(3) == [Probe("a")]
    units.probed("a", True, 4)
    assert units.units["a"].state is State.RUNNING
    assert units.step(4) == [Start("b")]
    units.started("b", 4)
    assert units.step(1000) == []


def test_a_probe_that_hangs_is_ended_and_repeated() -> None:
    units = Supervision([unit("a", test="/bin/t")])
    begin(units, 0)
    assert units.step(0) == [Probe("a")]
    assert units.step(PROBE_LIMIT_S) == [EndProbe("a")]
    units.probed("a", False, PROBE_LIMIT_S)
    assert units.step(PROBE_LIMIT_S + 2) == [Probe("a")]


def test_a_failed_oneshot_is_tried_again_with_a_growing_pause() -> None:
    units = Supervision([unit("a", oneshot=True), unit("b", "a")])
    now, pauses = 0.0, []
    for _ in range(8):
        assert begin(units, now) == ["a"]
        units.exited("a", 1, now)
        pauses.append(units.next_time(now) - now)
        now = units.next_time(now)
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert begin(units, now) == ["a"]
    units.exited("a", 0, now)
    assert begin(units, now) == ["b"]


def test_a_service_that_ends_well_starts_again_and_a_steady_one_at_once_again() -> None:
    units = Supervision([unit("a")])
    begin(units, 0)
    units.exited("a", 0, 1)
    assert begin(units, 2) == []
    assert begin(units, 3) == ["a"]
    units.exited("a", -9, 4)
    assert begin(units, 7.9) == []
    assert begin(units, 8) == ["a"]
    units.exited("a", 1, 100)
    assert begin(units, 102) == ["a"]
    assert units.units["a"].restarts == 3


def test_what_cannot_be_executed_is_reported_and_tried_again_seldom() -> None:
    units = Supervision([unit("a")])
    assert units.step(0) == [Start("a")]
    units.not_started("a", "no such file", 0)
    assert units.units["a"].state is State.FAILURE
    assert units.step(29) == []
    assert units.step(30) == [Start("a")]


def test_stop_sends_the_signal_and_then_kills() -> None:
    units = Supervision([unit("a")])
    begin(units, 0)
    units.stop("a")
    assert units.step(1) == [Signal("a", signal.SIGTERM)]
    assert units.step(2) == []
    assert units.step(11) == [Signal("a", signal.SIGKILL)]
    assert units.step(11.5) == [Signal("a", signal.SIGKILL)]
    units.exited("a", -9, 12)
    assert units.units["a"].state is State.STOPPED
    assert units.step(500) == []
    units.start("a", 501)
    assert units.step(501) == [Start("a")]


def test_restart_starts_again_without_a_pause() -> None:
    units = Supervision([unit("a")])
    begin(units, 0)
    units.restart("a", 1)
    assert units.step(1) == [Signal("a", signal.SIGTERM)]
    units.exited("a", 0, 2)
    assert units.step(2) == [Start("a")]


def test_a_running_unit_whose_health_probes_fail_is_restarted() -> None:
    units = Supervision([unit("a", test="/bin/t", health=5)])
    begin(units, 0)
    now = 0.0
    units.step(now)
    units.probed("a", True, now)
    for _ in range(MOST_MISSES):
        now += 5
        assert units.step(now) == [Probe("a")]
        units.probed("a", False, now)
    assert units.step(now) == [Signal("a", signal.SIGTERM)]
    units.exited("a", 0, now)
    assert units.step(now) == [Start("a")]


def test_shutdown_goes_in_reverse_order_and_starts_nothing() -> None:
    units = Supervision([unit("a"), unit("b", "a"), unit("c", "b"), unit("d", "nobody")])
    for now in (0, 1, 2):
        begin(units, now)
    units.end()
    for name in ("c", "b", "a"):
        assert not units.ended
        assert units.step(10) == [Signal(name, signal.SIGTERM)]
        assert units.step(10) == []
        units.exited(name, 0, 11)
    assert units.ended
    assert units.step(100) == []


def test_unit_files_say_what_is_wrong() -> None:
    good = parse_unit("a", 'exec = "x \'y z\'"\nafter = ["b"]\nsignal.stop = "int"\nshutdown_timeout = 3\n')
    assert good.exec == ("x", "y z")
    assert (good.stop_signal, good.shutdown_timeout) == (signal.SIGINT, 3.0)
    for text, said in (
        ("", "exec"),
        ('exec = ""', "empty"),
        ("exec = [", "unit a"),
        ('exec = "x"\nexex = 1', "exex"),
        ('exec = "x"\nlog = "null"', "null"),
        ('exec = "x"\nafter = "b"', "after"),
        ('exec = "x"\nafter = ["a"]', "itself"),
        ('exec = "x"\nsignal.stop = "nope"', "nope"),
        ('exec = "x"\nhealth = -1', "health"),
        ('exec = "x \'"', "quot"),
    ):
        with pytest.raises(UnitError, match=said):
            parse_unit("a", text)


def test_the_log_ring_keeps_the_last_lines_and_no_control_characters() -> None:
    ring = LogRing("u", 3)
    assert ring.feed("+", b"one\ntw") == ["[+] u: one"]
    assert ring.feed("-", b"bad\x1b[2J\n") == ["[-] u: bad [2J"]
    assert ring.feed("+", b"o\nthree\n") == ["[+] u: two", "[+] u: three"]
    assert ring.tail() == ["[-] u: bad [2J", "[+] u: two", "[+] u: three"]
    ring.feed("+", b"end")
    assert ring.close() == ["[+] u: end"]
    assert ring.tail(1) == ["[+] u: end"]
    assert len(ring.feed("+", b"x" * 100_000)[0]) < 3000
