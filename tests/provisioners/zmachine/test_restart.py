"""When a machine comes back, and what is said meanwhile."""

from __future__ import annotations

import pytest

from provisioners.system.qmp import GuestEnd
from provisioners.zmachine.ending import EXCERPT_LIMIT, Ending, Evidence, Kind, ending, last_words
from provisioners.zmachine.restart import LONGEST_PAUSE_S, RESTLESS, STABLE_S, RestartPolicy

CRASH = Ending(Kind.CRASH, "QEMU ended with signal SIGKILL")
OFF = Ending(Kind.POWER_OFF, "off")
REBOOT = Ending(Kind.REBOOT, "reboot")


def policy() -> RestartPolicy:
    return RestartPolicy(jitter=lambda low, high: 1.0)


def test_pauses_grow_to_five_minutes_and_never_end() -> None:
    judge = policy()
    pauses = [judge.ended(CRASH, 1.0).pause for _ in range(40)]
    assert pauses[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_S


def test_a_stable_run_makes_a_machine_good_again() -> None:
    judge = policy()
    for _ in range(5):
        judge.ended(CRASH, 1.0)
    verdict = judge.ended(CRASH, STABLE_S)
    assert (judge.failures, verdict.pause) == (1, 1.0)


def test_an_error_says_why_how_often_and_when_it_goes_on() -> None:
    judge = policy()
    judge.ended(CRASH, 1.0)
    error = judge.ended(CRASH, 1.0, "cannot find root").error
    assert error == (
        "the machine ended (QEMU ended with signal SIGKILL), 2 times in a row; it is started again after 2 s. "
        "Last lines: cannot find root"
    )


def test_what_the_guest_did_itself_is_no_error_unless_it_does_nothing_else() -> None:
    judge = policy()
    assert judge.ended(REBOOT, STABLE_S).pause == 0.0
    assert [judge.ended(OFF, 2.0).error for _ in range(RESTLESS)] == [None] * RESTLESS
    assert judge.ended(OFF, 2.0).error is not None


def test_jitter_never_passes_the_longest_pause() -> None:
    judge = RestartPolicy(failures=20)
    assert all(judge.ended(CRASH, 1.0).pause <= LONGEST_PAUSE_S for _ in range(50))


@pytest.mark.parametrize(
    ("evidence", "kind", "reason"),
    [
        (Evidence(GuestEnd.POWER_OFF, 0), Kind.POWER_OFF, "switched itself off"),
        (Evidence(GuestEnd.REBOOT, 0), Kind.REBOOT, "restarted itself"),
        (Evidence(GuestEnd.PANIC, 1), Kind.CRASH, "kernel or first process failed"),
        (Evidence(None, -9), Kind.CRASH, "signal SIGKILL"),
        (Evidence(None, -9, out_of_memory=True), Kind.CRASH, "out of memory"),
        (Evidence(None, None, lost_share=True), Kind.CRASH, "file server"),
        (Evidence(None, 3), Kind.CRASH, "status 3"),
        (Evidence(None, None), Kind.CRASH, "without a word"),
        (Evidence(GuestEnd.POWER_OFF, None), Kind.POWER_OFF, "switched itself off"),
    ],
)
def test_evidence_is_judged_by_what_explains_most(evidence: Evidence, kind: Kind, reason: str) -> None:
    judged = ending(evidence)
    assert judged.kind is kind
    assert reason in judged.reason


def test_last_words_are_the_programs_and_the_cause_of_a_panic() -> None:
    log = (
        b"old\r\nzos: cannot mount the disk at /data\r\n"
        b"[    2.1] Kernel panic - not syncing: Attempted to kill init!\r\n"
        b"[    2.2] CPU: 0 PID: 1 Comm: init\r\n[    2.3]  <TASK>\r\n\x1b[6n\r\n"
    )
    assert last_words(log) == (
        "old | zos: cannot mount the disk at /data | Kernel panic - not syncing: Attempted to kill init!"
    )
    assert len(last_words(b"x" * 10_000)) == EXCERPT_LIMIT
