"""The same with real kernel objects: a node in namespaces of its own, killed at points of its four real types.

The points are recorded in two lives that nobody disturbs.  With `FAULTS=all` each of them has lives of its own;
otherwise one node is killed at several, one after the other (`scope.py`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scope
from tests.faults.real_life import TYPES, RealLife, numbered
from tests.host.zosd.test_real_node import RealNode, lab, prepared, real
from tests.shared import report_count

__all__ = ["lab", "real"]

pytestmark = pytest.mark.root

NO_FAULTS: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
IN_A_ROW = 8
"""Kills of one node in a sample."""
ALWAYS = ("zmount.update", "network.update")
"""Acts that every sample has a point of."""


class Undisturbed:
    """What the machine looks like, and the points that were passed."""

    empty: dict[str, Any]
    looks: list[dict[str, Any]]
    points: list[str]


async def undisturbed(life: RealLife, folder: Path) -> Undisturbed:
    found = Undisturbed()
    records = [folder / "points.1", folder / "points.2"]
    await life.start()
    found.empty = await life.empty()
    found.looks = await life.whole([{"record": str(record)} for record in records])
    assert await life.looks_like(found.empty) == ""
    found.points = numbered(records)
    acts = {tuple(point.partition(":")[2].split(".")[:2]) for point in found.points}
    assert {(type, verb) for type in TYPES for verb in ("provision", "recover", "deprovision")} <= acts
    assert {("journal", name) for name in ("accept", "update", "leave", "forget")} <= acts
    return found


def in_a_row(points: Sequence[str]) -> list[str]:
    """Acts of the four types in the order of a life, each at its beginning or its end."""
    chance = random.Random(scope.SEED)
    acts = dict.fromkeys(
        point.partition(":")[2].rpartition(".")[0] for point in points if ":journal." not in point
    )
    others = [act for act in acts if act not in ALWAYS and not act.endswith(".recover")]
    chosen = {*ALWAYS, *chance.sample(others, IN_A_ROW - len(ALWAYS))}
    return [f"{act}.{chance.choice(('begin', 'end'))}" for act in acts if act in chosen]


@pytest.mark.timeout(3600 if scope.EVERY_ONE else 600)
async def test_killed_at_points_of_real_types_it_comes_to_the_same_end(
    real: RealNode, tmp_path: Path
) -> None:
    bus = await prepared(real)
    life = RealLife(real, bus)
    quiet = await undisturbed(life, tmp_path)
    life.deaths = 0
    if scope.EVERY_ONE:
        await each(life, quiet, scope.part(quiet.points))
    else:
        first, *life.later = in_a_row(quiet.points)
        print(first, *life.later)  # shown when it fails
        await life.whole(({"kill_at": first}, {}), quiet.looks)
        assert await life.looks_like(quiet.empty) == ""
        assert life.deaths == IN_A_ROW, f"not reached: {life.later}"
    report_count(f"kill points of {len(quiet.points)}, real types", life.deaths)
    await bus.link.close()


async def each(life: RealLife, quiet: Undisturbed, points: Sequence[str]) -> None:
    """Lives that are killed at one point, for each of them."""
    for point in points:
        print(point, flush=True)  # shown when it fails
        number, _, name = point.partition(":")
        faults = [dict[str, str](), dict[str, str]()]
        faults[int(number) - 1]["kill_at"] = name
        await life.whole(faults, quiet.looks)
        assert await life.looks_like(quiet.empty) == "", point
    # What the journal notes by the clock may come a few times less in another life.
    assert life.deaths >= len(points) * 0.8
