"""A daemon that is killed anywhere comes to the same end as one that was not, with null provisioners.

`FAULTS=all` kills at every point (`make test-faults`); otherwise `FAULTS_SEED` (default 1) chooses.  A trial that
failed is told again with `python -m tests.faults replay '<trial>'`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gridtypes import WorkloadType
from tests.faults import harness, life, scope
from tests.faults.harness import Trial
from tests.faults.scenarios import SCENARIOS
from tests.shared import report_count
from zosd.points import kill_at, nothing

IN_A_RUN = 212


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The undisturbed run of every scenario, and its points."""
    folder = tmp_path_factory.mktemp("undisturbed")
    runs = {scenario.name: folder / scenario.name for scenario in SCENARIOS}
    return runs, {scenario.name: harness.points(scenario, runs[scenario.name]) for scenario in SCENARIOS}


def test_the_points_are_all_there(good: tuple[dict[str, Path], dict[str, list[str]]]) -> None:
    kinds = {harness.kind(point) for numbered in good[1].values() for point in numbered}
    writes = {"accept", "update", "install", "remove", "pause", "resume", "leave", "settled", "forget"}
    assert {f"journal.{name}.{end}" for name in writes for end in ("commit", "done")} <= kinds
    for type in WorkloadType:
        for verb in ("provision", "deprovision", "inventory", "recover"):
            assert {f"{type.value}.{verb}.begin", f"{type.value}.{verb}.end"} <= kinds, (type, verb)
    assert {"zmount.update.end", "zdb.update.begin", "zmachine.pause.end", "zmachine.resume.begin"} <= kinds


@pytest.mark.timeout(3600 if scope.EVERY_ONE else 600)
def test_killed_at_a_point_it_comes_to_the_same_end(
    good: tuple[dict[str, Path], dict[str, list[str]]], tmp_path: Path
) -> None:
    runs, found = good
    there = harness.all_trials(found)
    trials = scope.part(there) if scope.EVERY_ONE else harness.sample(there, IN_A_RUN, scope.SEED)
    verdicts = harness.run_all(trials, runs, tmp_path)
    wrong = [f"{verdict.trial}: {verdict.trouble}" for verdict in verdicts if verdict.trouble]
    assert not wrong, f"seed {scope.SEED}, {len(wrong)} of {len(verdicts)}:\n" + "\n".join(wrong[:10])
    reached = sum(verdict.reached for verdict in verdicts)
    # Workers run side by side, so a few points are passed another number of times in another run.
    assert reached >= len(verdicts) * 0.9
    report_count(f"kill points of {len(there)}, null provisioners", reached)
    assert reached >= min(200, len(trials) * 0.9)


@pytest.mark.timeout(300)
def test_killed_twice(good: tuple[dict[str, Path], dict[str, list[str]]], tmp_path: Path) -> None:
    """The second time while it finds its way back: at one of the first points after the start."""
    runs, found = good
    trials = [
        Trial(name, (found[name][len(found[name]) // 2], point))
        for name in ("install", "update", "cancel")
        for point in ("1:zmount.inventory.end#1", "1:journal.recover.commit#1", "1:zmount.recover.end#1")
    ]
    wrong = [
        f"{verdict.trial}: {verdict.trouble}"
        for verdict in harness.run_all(trials, runs, tmp_path)
        if verdict.trouble
    ]
    assert not wrong, "\n".join(wrong)


def test_the_harness_sees_what_is_lost(tmp_path: Path) -> None:
    """A journal that forgot what was acknowledged, and a machine that differs, are both noticed."""
    scenario = harness.BY_NAME["restart"]
    folder = tmp_path / "life"
    assert harness._life(folder, scenario, nothing) == life.RESTART
    before = life.outcome(folder, True)
    disk = folder / "node" / "run" / "null" / "zmount" / "26-1-adisk.json"
    disk.write_text(disk.read_text().replace('"made": 1', '"made": 2'))
    assert "made: expected 1, found 2" in harness._difference(before, life.outcome(folder, True))
    disk.unlink()
    assert "26-1-adisk.json is missing" in harness._difference(before, life.outcome(folder, True))
    (folder / "node" / "journal.db").unlink()
    assert harness._life(folder, scenario, nothing) == life.WRONG
    assert "contract 1 was acknowledged and is not in the journal" in harness._said(folder)


def test_a_trial_is_told_again_by_its_name() -> None:
    for trial in (
        Trial("update", ("2:zmount.update.end#1", "1:journal.note.done#2")),
        Trial("storm", ("1:a#1",), True),
    ):
        assert Trial.parse(str(trial)) == trial
    with pytest.raises(ValueError, match="counts from 1"):
        kill_at("a#0")
