"""The network between three machines is divided."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.dynamo.cluster.machines import (
    Group,
    SeparateMachine,
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
