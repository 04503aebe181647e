"""Three machines with a MariaDB each: the fleet survives the loss of any of them."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def test_b1_b3_the_machine_that_leads_is_lost_and_comes_back(group: Group) -> None:
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
def test_b4_rights_users_the_queue_and_sequences_outlive_the_machine_that_leads(group: Group) -> None:
    dead, alive = _leading(group)
    _begin_a_sequence(alive[0], "ticking")
    with tempfile.TemporaryDirectory(prefix="dynamo-flag-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        queued = _queued_writers(group, alive[0], Path(name) / "go")
        rights = _rights(dead)
        dead.lose()
        (Path(name) / "go").touch()
        group.write(alive[0], "WithQueue0")
        group.write(alive[1], "WithQueue1")
        wait_for(lambda: leader(alive[0]) in {machine.name for machine in alive}, "Another leader")
        wait_for(lambda: _all_done(alive[1], queued), "The end of what waited")
    wait_until_equal(*alive)
    assert {f"Queued{number}" for number in range(3)} <= set(alive[1].running.inventory().sites)
    ticks = _ticks(alive[1])
    wait_for(lambda: _ticks(alive[1]) > ticks + 1, "Further steps of the sequence")
    assert _rights(alive[0]) == _rights(alive[1]) == rights
    assert [row for row in rights[0] if row["title"] == "writer"]
    assert [row for row in rights[1] if (row["user"], row["role"]) == ("admin", "admin")]
    assert alive[0].running.dynamo("-e", "ticking").returncode == 0

    dead.start_database()
    dead.running.start()
    group.write(dead, "BackAgain")
    wait_until_equal(*group.machines)


def _rights(machine: Machine) -> list[list[dict[str, Any]]]:
    """What is authorised, and who may do what, as the commands of a machine show it."""
    tools = ("exec_auth", "user_auth")
    return [json.loads(machine.running.run(tool, "-L", "--json").stdout) for tool in tools]


def _begin_a_sequence(machine: Machine, name: str) -> None:
    server = machine.running
    tick = server.script("print('tick')\n", "tick.py")
    definition = server.folder / "ticking.def"
    definition.write_text(f"{{tick}} = {tick}\n[SEQUENCE {name}]\n| {{tick}}\nWAIT 1\n")
    for option, value in (("-a", str(definition)), ("-q", name)):
        done = server.dynamo(option, value)
        assert done.returncode == 0, done.stderr
    wait_for(lambda: _ticks(machine) > 0, "A first step of the sequence")


def _ticks(machine: Machine) -> int:
    """Number of the newest step of the sequence that has ended well; 0 while nobody can be asked."""
    rows = map(json.loads, machine.running.dynamo("-l", "--json").stdout.splitlines())
    return max((row["appid"] for row in rows if (row["title"], row["status"]) == ("tick", "done")), default=0)


def _queued_writers(group: Group, machine: Machine, flag: Path) -> list[int]:
    """Programs that write and wait behind one that runs until there is a file; their numbers."""
    server = machine.running
    holder = server.script(
        f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.05)\n"
    )
    assert server.run("exec_auth", "-x", holder, "-t", "holder").returncode == 0
    first = json.loads(server.dynamo("-W", "-A", "-t", "holder", "--json", holder).stdout)["appid"]
    wait_for(lambda: _poll(machine, first).get("status") == "run", "Start of the first writer")
    numbers = [
        json.loads(
            server.dynamo("-W", "-A", "-t", "writer", "--json", f"{group.writer} Queued{number}").stdout
        )["appid"]
        for number in range(3)
    ]
    assert {_poll(machine, number)["status"] for number in numbers} == {"new"}
    return numbers


def _poll(machine: Machine, number: int) -> dict[str, Any]:
    text = machine.running.dynamo("-p", str(number), "--json").stdout
    return dict(json.loads(text)) if text else {}


def _all_done(machine: Machine, numbers: list[int]) -> bool:
    return all(_poll(machine, number).get("status") == "done" for number in numbers)


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
