"""Kills a daemon at a point, starts it anew until its scenario ends, and compares what came of it.

The points are those that journal and provisioners announce by themselves in a run that nobody disturbs; there is no
list of them.  Each trial is a process of its own, so that trials run side by side.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import life
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World
from zosd.points import Hook, kill_at, nothing, record_to

FORK = multiprocessing.get_context("fork")
SIDE_BY_SIDE = 2
MOST_LIVES = 12
LIFE_LIMIT_S = 180.0

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario, killed at some points; `power` takes what is volatile with it.

    A point is `<life>:<name>#<n>`: the n-th time that it is passed in that life, counted from the start or from the
    kill before.
    """

    scenario: str
    kills: tuple[str, ...]
    power: bool = False

    @property
    def tells(self) -> bool:
        """Whether the history has to be the same too; after a power cut things are made once more."""
        return BY_NAME[self.scenario].compares_history and not self.power

    def __str__(self) -> str:
        return f"{self.scenario}@{'+'.join(self.kills)}{'!' if self.power else ''}"

    @classmethod
    def parse(cls, text: str) -> Trial:
        """The trial that prints as `text`, for a replay."""
        scenario, _, kills = text.partition("@")
        return cls(scenario, tuple(kills.rstrip("!").split("+")), text.endswith("!"))


@dataclass(frozen=True, slots=True)
class Verdict:
    trial: Trial
    reached: bool
    """Whether the first kill happened: workers run side by side, so a few points are passed another number of times."""
    trouble: str


def points(scenario: Scenario, folder: Path) -> list[str]:
    """Every point of an undisturbed run, numbered; leaves the run itself in `folder` to compare with."""
    records = [folder.with_name(f"{folder.name}.points.{number}") for number in range(1, MOST_LIVES + 1)]
    trouble = _to_the_end(folder, scenario, [record_to(record) for record in records])
    assert not trouble, trouble
    numbered = []
    for number, record in enumerate(records, 1):
        count: Counter[str] = Counter()
        for point in record.read_text().split() if record.exists() else ():
            count[point] += 1
            numbered.append(f"{number}:{point}#{count[point]}")
    return numbered


def kind(point: str) -> str:
    """The point's name without life and number."""
    return point.partition(":")[2].rpartition("#")[0]


def all_trials(found: dict[str, list[str]]) -> list[Trial]:
    """A kill at every point of every scenario, and a power cut at every point of the one that reboots."""
    trials = [Trial(name, (point,)) for name, numbered in found.items() for point in numbered]
    trials += [Trial(name, (point,), power=True) for name in ("reboot", "update") for point in found[name]]
    return trials


def sample(trials: Sequence[Trial], count: int, seed: int) -> list[Trial]:
    """`count` of them: one for every kind of point, the rest by chance."""
    chance = random.Random(seed)
    by_kind: dict[str, list[Trial]] = {}
    for trial in trials:
        by_kind.setdefault(kind(trial.kills[0]), []).append(trial)
    must = [chance.choice(group) for group in by_kind.values()]
    rest = [trial for trial in trials if trial not in set(must)]
    more = chance.sample(rest, max(0, min(len(rest), count - len(must))))
    return [*must, *more]


def run_all(trials: Iterable[Trial], good: dict[str, Path], folder: Path) -> list[Verdict]:
    """Run trials side by side; `good` holds the undisturbed run of each scenario."""
    expected = {
        (name, told): life.outcome(path, told) for name, path in good.items() for told in (True, False)
    }
    waiting, running = list(trials), dict[Trial, tuple[multiprocessing.process.BaseProcess, Path]]()
    verdicts: list[Verdict] = []
    number = 0
    while waiting or running:
        while waiting and len(running) < SIDE_BY_SIDE:
            trial, place = waiting.pop(0), folder / str(number)
            number += 1
            place.mkdir(parents=True)
            process = FORK.Process(target=_trial, args=(trial, expected[trial.scenario, trial.tells], place))
            process.start()
            running[trial] = (process, place)
        multiprocessing.connection.wait([process.sentinel for process, _ in running.values()], timeout=60)
        for trial, (process, place) in list(running.items()):
            if not process.is_alive():
                process.join()
                del running[trial]
                verdicts.append(_verdict(trial, place))
    return verdicts


def _verdict(trial: Trial, place: Path) -> Verdict:
    file = place / "verdict.json"
    if not file.exists():
        return Verdict(trial, True, f"the trial itself died; see {place}")
    told = json.loads(file.read_text())
    if not told["trouble"]:
        shutil.rmtree(place)
    return Verdict(trial, told["reached"], told["trouble"])


def _trial(trial: Trial, expected: dict[str, object], place: Path) -> None:
    """In a process of its own."""
    scenario, folder = BY_NAME[trial.scenario], place / "life"
    reached, trouble = False, ""
    try:
        reached, trouble = _killed_lives(folder, scenario, trial.kills, trial.power)
        trouble = trouble or _to_the_end(folder, scenario, [nothing] * MOST_LIVES)
        if not trouble:
            trouble = _difference(expected, life.outcome(folder, trial.tells))
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    (place / "verdict.json").write_text(json.dumps({"reached": reached, "trouble": trouble}))


def _killed_lives(folder: Path, scenario: Scenario, kills: Sequence[str], power: bool) -> tuple[bool, str]:
    """Live through the kills; returns whether the first happened, and what went wrong."""
    reached = False
    for kill in kills:
        lives, _, point = kill.partition(":")
        for hook in (*[nothing] * (int(lives) - 1), kill_at(point)):
            code = _life(folder, scenario, hook)
            if code == -signal.SIGKILL:
                reached = reached or kill is kills[0]
                if power:
                    life.wipe(World(folder))
            elif code == life.REBOOT:
                life.wipe(World(folder))
            elif code not in (life.DONE, life.RESTART):
                return reached, _said(folder)
    return reached, ""


def _to_the_end(folder: Path, scenario: Scenario, hooks: list[Hook]) -> str:
    """Live until the scenario ends; returns what went wrong."""
    for hook in hooks:
        code = _life(folder, scenario, hook)
        if code == life.DONE:
            return ""
        if code == life.REBOOT:
            life.wipe(World(folder))
        elif code != life.RESTART:
            return f"exit code {code}: {_said(folder)}"
    return f"not at its end after {len(hooks)} lives"


def _life(folder: Path, scenario: Scenario, hook: Hook) -> int:
    """Exit code of one life (negative: the signal)."""
    folder.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = life.WRONG
        try:
            code = life.live(folder, scenario, hook)
        finally:
            os._exit(code)
    deadline = time.monotonic() + LIFE_LIMIT_S
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            (folder / "trouble").write_text(f"hung for {LIFE_LIMIT_S:g} s")
            return life.WRONG
        time.sleep(0.002)


def _said(folder: Path) -> str:
    file = folder / "trouble"
    return file.read_text() if file.exists() else "it said nothing"


def _difference(expected: dict[str, object], found: dict[str, object]) -> str:
    """The first thing that is not as in the undisturbed run; "" when all is."""
    if expected == found:
        return ""
    return _differs("", json.loads(json.dumps(expected)), json.loads(json.dumps(found)))


def _differs(place: str, expected: object, found: object) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                return f"{place}/{key} is missing"
            if key not in expected:
                return f"{place}/{key} should not be there: {found[key]!r}"
            if text := _differs(f"{place}/{key}", expected[key], found[key]):
                return text
        return ""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return next((text for n, (a, b) in pairs if (text := _differs(f"{place}/{n}", a, b))), "")
    return "" if expected == found else f"{place}: expected {expected!r}, found {found!r}"
