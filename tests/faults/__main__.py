"""Faults by hand::

python -m tests.faults random [--seed N] [--minutes M]     as long as asked, one to four kills in a trial
python -m tests.faults replay 'update@1:zmount.update.end#1'
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import harness
from tests.faults.harness import Trial
from tests.faults.scenarios import SCENARIOS

BATCH = 20
MOST_KILLS = 4


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Kill the daemon at its points."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    by_chance = commands.add_parser("random", help="trials by chance")
    by_chance.add_argument("--seed", type=int, default=int(time.time()))
    by_chance.add_argument("--minutes", type=float, default=10.0)
    again = commands.add_parser("replay", help="one trial once more")
    again.add_argument("trial")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        place = Path(folder)
        good = {scenario.name: place / "good" / scenario.name for scenario in SCENARIOS}
        found = {scenario.name: harness.points(scenario, good[scenario.name]) for scenario in SCENARIOS}
        if chosen.command == "replay":
            return _tell(harness.run_all([Trial.parse(chosen.trial)], good, place / "replay"))
        return _random(chosen.seed, chosen.minutes, good, found, place)


def _random(
    seed: int, minutes: float, good: dict[str, Path], found: dict[str, list[str]], place: Path
) -> int:
    print(f"seed {seed}", flush=True)
    chance, end, count = random.Random(seed), time.monotonic() + minutes * 60, 0
    while time.monotonic() < end:
        trials = {_trial(chance, found) for _ in range(BATCH)}
        count += len(trials)
        if _tell(harness.run_all(sorted(trials, key=str), good, place / str(count)), quiet=True):
            print(f"seed {seed}: stopped after {count} trials", flush=True)
            return 1
        print(f"{count} trials, all well", flush=True)
    return 0


def _trial(chance: random.Random, found: dict[str, list[str]]) -> Trial:
    name = chance.choice(sorted(found))
    kills = chance.sample(found[name], chance.randint(1, MOST_KILLS))
    first, *others = kills
    # After a kill, lives are counted anew, and the end is near: only what comes early in a life is passed again.
    later = [f"1:{one.partition(':')[2].rpartition('#')[0]}#1" for one in others]
    return Trial(name, (first, *later), chance.random() < 0.3)


def _tell(verdicts: list[harness.Verdict], quiet: bool = False) -> int:
    bad = [verdict for verdict in verdicts if verdict.trouble]
    for verdict in verdicts if not quiet else bad:
        print(f"{verdict.trial}: {verdict.trouble or 'well'}", flush=True)
        if verdict.trouble:
            print(f"  again: python -m tests.faults replay '{verdict.trial}'", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
