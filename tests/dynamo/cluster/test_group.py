"""Three machines with a MariaDB each: the fleet survives the loss of any of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pymysql
import pytest

from tests.dynamo.cluster.machines import PASSWORD, Group, Machine, group_status, leader, wait_until_equal
from tests.dynamo.mariadb import is_installed
from tests.dynamo.single_server import wait_for

LONG = pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    if not is_installed() and not os.environ.get("CI"):
        pytest.skip("mariadb-server is not installed; `make setup` does that")
    found = Group(tmp_path_factory.mktemp("group"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_b1_b3_b4_the_machine_that_leads_is_lost_and_comes_back(group: Group) -> None:
    for machine in group.machines:
        group.write(machine, f"Before{machine.number}")
    dead, alive = _leading(group)
    dead.lose()
    group.write(alive[0], "After0")
    group.write(alive[1], "After1")
    wait_for(lambda: leader(alive[0]) in {machine.name for machine in alive}, "Another leader")
    wait_until_equal(*alive)

    dead.start_database()
    dead.running.start()
    group.write(dead, "Returned")
    wait_until_equal(*group.machines)
    sites = set(dead.running.inventory().sites)
    assert {"Before0", "Before1", "Before2", "After1", "Returned"} <= sites


@LONG
def test_b3_a_leader_that_was_paused_takes_no_changes_when_it_wakes_up(group: Group) -> None:
    paused, others = _leading(group)
    paused.database.send(signal.SIGSTOP)
    try:
        group.write(others[0], "WhilePaused")
    finally:
        paused.database.send(signal.SIGCONT)
    group.write(paused, "Awake")
    wait_until_equal(*group.machines)
    assert {"WhilePaused", "Awake"} <= set(paused.running.inventory().sites)


@LONG
def test_what_was_never_acknowledged_is_kept_aside_when_its_machine_comes_back(group: Group) -> None:
    lonely, others = _leading(group)
    for machine in others:
        machine.database.kill()
    with pytest.raises(pymysql.Error, match="timed out"):
        _add_batch(lonely)
    assert not group.writes(lonely, "Refused")
    lonely.database.kill()
    for machine in others:
        machine.start_database()
    group.write(others[0], "WithoutIt")
    lonely.start_database()
    conflicts = lonely.running.folder / "conflicts"
    (kept,) = wait_for(lambda: list(conflicts.glob("*.json")), "The batch that was not acknowledged")
    assert json.loads(kept.read_text())["commands"] == [
        ["update", {"class": "Site", "name": "Unacknowledged"}]
    ]
    group.write(lonely, "Together")
    wait_until_equal(*group.machines)
    sites = set(lonely.running.inventory().sites)
    assert {"WithoutIt", "Together"} <= sites
    assert not {"Unacknowledged", "Refused"} & sites


@LONG
def test_an_old_leader_with_a_longer_log_does_not_lead_over_what_was_acknowledged(group: Group) -> None:
    old, others = _leading(group)
    for machine in others:
        machine.database.kill()
    _add_transactions_of_its_own(old, 30)
    old.database.kill()
    for machine in others:
        machine.start_database()
    group.write(others[0], "Acknowledged")
    newer = wait_for(lambda: leader(others[0]), "A leader of the other two")
    lost = next(machine for machine in others if machine.name == newer)
    kept = next(machine for machine in others if machine is not lost)
    lost.database.kill()
    old.start_database()
    group.write(kept, "Later")
    assert leader(kept) == kept.name
    lost.start_database()
    group.write(lost, "Whole")
    wait_until_equal(*group.machines)
    assert {"Acknowledged", "Later", "Whole"} <= set(old.running.inventory().sites)


def _add_transactions_of_its_own(machine: Machine, count: int) -> None:
    """Lengthen the log of one MariaDB by what no other one gets."""
    connection = pymysql.connect(host=machine.address, user="admin", password=PASSWORD, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL rpl_semi_sync_master_enabled = 0")
        for number in range(count):
            cursor.execute("CREATE DATABASE IF NOT EXISTS alone")
            cursor.execute(f"CREATE TABLE alone.t{number} (id INT)")


def _add_batch(machine: Machine) -> None:
    """Add a batch to the log as a server does, and wait for 3 s until it is acknowledged."""
    connection = pymysql.connect(
        host=machine.address, user="server", password=PASSWORD, database="dynamoserver", read_timeout=3
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO change_batches (epoch, writer, app_id, committed) VALUES (99, 'lonely', 0, 0)"
        )
        cursor.execute(
            "INSERT INTO changes VALUES (%s, 0, 'update', %s)",
            (cursor.lastrowid, json.dumps({"class": "Site", "name": "Unacknowledged"})),
        )
        connection.commit()


@LONG
def test_a_follower_that_was_changed_by_hand_is_built_anew(group: Group) -> None:
    _, (changed, _) = _leading(group)
    changed.database.run("SET sql_log_bin = 0", "DELETE FROM dynamoserver.lease")

    assert not changed.database.rows("SELECT 1 FROM dynamoserver.lease")

    def is_back() -> bool:
        return _has_leases(changed)

    wait_for(is_back, "The rows that were deleted")
    group.write(changed, "BuiltAnew")
    wait_until_equal(*group.machines)


def _has_leases(machine: Machine) -> bool:
    try:
        return bool(machine.database.rows("SELECT 1 FROM dynamoserver.lease"))
    except pymysql.ProgrammingError:
        return False  # its tables are just made anew


@LONG
def test_a_copy_that_a_crash_left_unfinished_is_made_anew(group: Group) -> None:
    group.write(group.machines[0], "BeforeTheCopy")
    _, (copy, _) = _leading(group)
    # As a crash leaves it: the tables are there and empty, the position is the old one, nobody is followed.
    copy.database.run(
        "STOP SLAVE",
        "RESET SLAVE ALL",
        "SET sql_log_bin = 0",
        "SET foreign_key_checks = 0",
        "INSERT INTO dynamolocal.unfinished VALUES (1)",
        "DELETE FROM dynamoserver.lease",
        "DELETE FROM dynamoserver.change_batches",
    )

    def is_whole() -> bool:
        rest = copy.database.rows("SELECT 1 FROM dynamolocal.unfinished")
        return not rest and _has_leases(copy)

    wait_for(is_whole, "A whole copy")
    group.write(copy, "AfterTheCopy")
    wait_until_equal(*group.machines)


@LONG
def test_the_lead_is_handed_over_on_demand(group: Group) -> None:
    before, others = _leading(group)
    wanted = others[1]

    def handed_over() -> bool:
        config = str(wanted.running.config)
        done = wanted.running.command("dynamo.tools.group", ["lead", wanted.name, "--config", config])
        return done.returncode == 0 and leader(wanted) == wanted.name

    wait_for(handed_over, "The lead of the other machine")
    group.write(before, "HandedOver")
    wait_until_equal(*group.machines)
    refused = wanted.running.command(
        "dynamo.tools.group", ["promote", before.name, "--config", str(before.running.config)]
    )
    assert refused.returncode == 2
    assert "what they have acknowledged is lost here" in refused.stderr


def _leading(group: Group) -> tuple[Machine, list[Machine]]:
    """The machine that leads, and the others, once both follow it."""

    def settled() -> str:
        rows = group_status(group.machines[0])
        follow = sum(1 for row in rows if row["runs"])
        return next((row["name"] for row in rows if row["leads"]), "") if follow == 2 else ""

    first = wait_for(settled, "A leader with two followers")
    leading = next(machine for machine in group.machines if machine.name == first)
    return leading, [machine for machine in group.machines if machine is not leading]
