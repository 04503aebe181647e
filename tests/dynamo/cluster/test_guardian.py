"""When a guardian looks for a new leader, by a clock and with MariaDBs that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dynamo.core.cluster import guardian
from dynamo.core.cluster.guardian import Guardian
from dynamo.core.cluster.replica import Closed, State
from dynamo.dataformat import OperationalError


class MadeUp:
    """A MariaDB that says of itself what it is told to."""

    def __init__(self, state: State) -> None:
        self.address = f"{state.name}:1"
        self.says: State | OperationalError = state

    def state(self) -> State:
        if isinstance(self.says, OperationalError):
            raise self.says
        return self.says


class Group:
    """MariaDBs a, which leads, b and c, as the guardian of c sees them; the lease is 10 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.now = 0.0
        self.stood: list[int] = []
        monkeypatch.setattr(guardian, "time", SimpleNamespace(monotonic=lambda: self.now))
        leader = State("a", 3, "a", False, 10, True)
        follower = State("b", 3, "a", True, 10, True, "a:1", True)
        states = (leader, follower, replace(follower, name="c"))
        self.members = {state.name: MadeUp(state) for state in states}
        self._guardian = Guardian("c", self.members, 10.0, tmp_path)  # type: ignore[arg-type]  # made up

        def elect(epoch: int, states: dict[str, State], *rest: Any) -> str | None:
            self.stood.append(epoch)
            return None

        monkeypatch.setattr(self._guardian, "elect", elect)
        self.at(0.0)

    def at(self, now: float) -> list[int]:
        """Let the guardian look at this time; the epochs that it has stood for until then."""
        self.now = now
        self._guardian.round()
        return self.stood

    def promise(self, epoch: int) -> None:
        """Let those that are left promise an epoch to somebody who does not lead yet."""
        for name in ("b", "c"):
            says = self.members[name].says
            assert isinstance(says, State)
            self.members[name].says = replace(says, epoch=epoch, leader="", follows="", runs=False)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Group:
    return Group(monkeypatch, tmp_path)


def test_a_leader_that_cannot_be_reached_is_waited_for_as_long_as_a_lease(group: Group) -> None:
    group.members["a"].says = OperationalError("no answer")
    assert group.at(14.9) == []
    assert group.at(15.0) == [4]  # c is the second of two, who waits half a lease longer


def test_a_leader_that_does_not_run_any_more_is_given_up_at_once(group: Group) -> None:
    group.members["a"].says = Closed("refused")
    assert group.at(1.9) == []
    assert group.at(2.0) == [4]


def test_nobody_takes_promises_from_somebody_who_collects_them(group: Group) -> None:
    group.members["a"].says = Closed("refused")
    assert group.at(1.5) == []
    group.promise(4)
    assert group.at(1.9) == []
    assert group.at(3.8) == []
    assert group.at(3.9) == [5]  # he has not succeeded
