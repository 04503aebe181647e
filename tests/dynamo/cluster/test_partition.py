"""The network between three machines is divided."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.dynamo.cluster.machines import (
    Group,
    SeparateMachine,
    group_status,
    leader,
    make_hub,
    remove_hub,
    wait_until_equal,
)
from tests.dynamo.mariadb import is_installed
from tests.dynamo.single_server import wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="name spaces of the network need root"),
    pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it"),
]


@pytest.fixture
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    if not is_installed() and not os.environ.get("CI"):
        pytest.skip("mariadb-server is not installed; `make setup` does that")
    hub = make_hub()
    found = Group(tmp_path_factory.mktemp("divided"), [SeparateMachine(number, hub) for number in range(3)])
    try:
        found.start()
        yield found
    finally:
        found.stop()
        remove_hub(hub)


@pytest.mark.parametrize("lost", ["network", "database", "server"])
@pytest.mark.timeout(600)
def test_b2_only_one_thing_of_the_leading_machine_is_lost(group: Group, lost: str) -> None:
    first = wait_for(lambda: leader(group.machines[0]), "A leader")
    broken = next(machine for machine in group.machines if machine.name == first)
    assert isinstance(broken, SeparateMachine)
    others = [machine for machine in group.machines if machine is not broken]
    for machine in group.machines:
        group.write(machine, f"Before{machine.number}")
    match lost:
        case "network":
            broken.plug(False)
        case "database":
            broken.database.kill()
        case "server":
            broken.running.stop(signal.SIGKILL)
    for machine in others:
        group.write(machine, f"During{machine.number}")

    def survivors() -> set[str]:
        lines = others[0].running.dynamo("--servers", "--json").stdout.splitlines()
        return {row["name"] for row in map(json.loads, lines) if row["status"] == "online"}

    wait_for(lambda: survivors() >= {machine.name for machine in others}, "All survivors online")
    match lost:
        case "network":
            assert not group.writes(broken, "Alone")
            assert leader(others[0]) != broken.name
            broken.plug(True)
        case "database":
            assert leader(others[0]) != broken.name
            group.write(broken, "ByItsServer")  # which lives, and finds the one that leads now
            broken.start_database()
        case "server":
            broken.running.start()
    group.write(broken, "Returned")
    wait_for(lambda: len(group_status(others[0])) == 3, "All three MariaDBs")
    wait_for(lambda: sum(1 for row in group_status(others[0]) if row["runs"]) == 2, "Two that follow")
    wait_until_equal(*group.machines)
    sites = set(broken.running.inventory().sites)
    wanted = {f"Before{number}" for number in range(3)} | {f"During{machine.number}" for machine in others}
    assert wanted | {"Returned"} <= sites
    assert "Alone" not in sites


def test_b6_only_the_majority_writes_while_the_network_is_divided(group: Group) -> None:
    first = wait_for(lambda: leader(group.machines[0]), "A leader")
    alone = next(machine for machine in group.machines if machine.name == first)
    assert isinstance(alone, SeparateMachine)
    others = [machine for machine in group.machines if machine is not alone]
    group.write(alone, "Before")
    alone.plug(False)
    assert not group.writes(alone, "Minority")
    group.write(others[0], "Majority")
    alone.plug(True)
    group.write(alone, "Healed")
    wait_until_equal(*group.machines)
    sites = set(alone.running.inventory().sites)
    assert {"Before", "Majority", "Healed"} <= sites
    assert "Minority" not in sites
