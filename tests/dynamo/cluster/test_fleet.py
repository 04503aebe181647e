"""Three servers with stores of their own and one master database: one inventory, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import SingleServer, wait_for
from tests.dynamo.snapshot import snapshot

WRITER = (
    "import sys\nfrom dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site, Dataset\n"
    "inventory.update(Site(sys.argv[1]))\ninventory.update(Dataset('/' + sys.argv[1] + '/1'))\n"
    "print('wrote', sys.argv[1])\n"
)


class Fleet:
    """Three servers, the first of which made the users."""

    def __init__(self, folder: Path, database: MariaDB) -> None:
        master = {"db_params": database.create("dynamoserver")}
        self.servers: list[SingleServer] = []
        for number in range(3):
            place = folder / f"server{number}"
            place.mkdir()
            first = self.servers[0] if self.servers else None
            self.servers.append(
                SingleServer(
                    place,
                    name=f"dyn{number}",
                    master=master,
                    authority=first.authority if first else None,
                    with_users=first is None,
                    board=database.create(f"board{number}"),
                )
            )
        self.writer = self.servers[0].script(WRITER, "writer.py")
        assert self.servers[0].run("exec_auth", "-x", self.writer, "-t", "writer").returncode == 0

    @staticmethod
    def drop(database: MariaDB) -> None:
        """Remove its databases."""
        for name in ("dynamoserver", "board0", "board1", "board2"):
            database.drop(name)

    def write(self, server: int, name: str) -> None:
        done = self.servers[server].dynamo("-W", "-t", "writer", f"{self.writer} {name}")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"wrote {name}\n"

    def rows(self, asked: int) -> dict[str, dict[str, Any]]:
        lines = self.servers[asked].dynamo("--servers", "--json").stdout.splitlines()
        return {row["name"]: row for row in map(json.loads, lines)}

    def primary(self, asked: int) -> int | None:
        found = [name for name, row in self.rows(asked).items() if row["primary"]]
        return int(found[0].removeprefix("dyn")) if found else None

    def wait_until_equal(self, *numbers: int) -> None:
        def equal() -> bool:
            stores = [snapshot(self.servers[number].inventory()) for number in numbers]
            return all(store == stores[0] for store in stores)

        wait_for(equal, "Equality of all stores")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDB) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), mariadb)
    try:
        for server in fleet.servers:
            server.start(wait=False)
        for server in fleet.servers:
            wait_for(server.is_up, "Start of a server")
        yield fleet
    finally:
        for server in fleet.servers:
            server.stop(signal.SIGKILL)
        fleet.drop(mariadb)


def test_w14_b2_b3_b5_the_fleet_goes_on_whichever_server_dies_or_stops(fleet: Fleet) -> None:
    for number in range(3):
        fleet.write(number, f"Before{number}")
    fleet.wait_until_equal(0, 1, 2)
    first = wait_for(lambda: (fleet.primary(1) is not None) and f"{fleet.primary(1)}", "A primary")
    dead = int(first)
    alive = [number for number in range(3) if number != dead]

    fleet.servers[dead].stop(signal.SIGKILL)
    fleet.write(alive[0], "AfterDeath")
    fleet.write(alive[1], "AfterDeath2")
    wait_for(lambda: fleet.primary(alive[0]) in alive, "Another primary")
    fleet.wait_until_equal(*alive)

    fleet.servers[dead].start()
    wait_for(lambda: fleet.rows(dead)[f"dyn{dead}"]["behind"] == 0, "Return of the old primary")
    fleet.wait_until_equal(0, 1, 2)
    fleet.write(dead, "AfterReturn")

    # A writer whose server is paused until its right has ended changes nothing when it wakes up.
    with tempfile.TemporaryDirectory(prefix="dynamo-flag-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        flag = Path(name) / "go"
        waiting = f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.05)\n"
        slow = fleet.servers[dead].script(WRITER + waiting, "slow.py")
        fleet.servers[dead].run("exec_auth", "-x", slow, "-t", "slow")
        submitted = fleet.servers[dead].dynamo("-W", "-A", "-t", "slow", "--json", f"{slow} Fenced")
        answer = json.loads(submitted.stdout)

        def runner() -> str:
            row = json.loads(fleet.servers[alive[0]].dynamo("-p", str(answer["appid"]), "--json").stdout)
            return str(row["server"]) if row["status"] == "run" else ""

        paused = int(wait_for(runner, "Start of the slow writer").removeprefix("dyn"))
        fleet.servers[paused].send(signal.SIGSTOP)
        other = next(number for number in range(3) if number != paused)
        fleet.write(other, "WhilePaused")
        flag.touch()
        fleet.servers[paused].send(signal.SIGCONT)
        _assert_refused(fleet, other, answer["appid"])
    fleet.wait_until_equal(0, 1, 2)
    sites = fleet.servers[0].inventory().sites
    assert "Fenced" not in sites
    assert {
        "Before0",
        "Before1",
        "Before2",
        "AfterDeath",
        "AfterDeath2",
        "AfterReturn",
        "WhilePaused",
    } <= set(sites)


def _assert_refused(fleet: Fleet, asked: int, number: int) -> None:
    def ended() -> str:
        row = json.loads(fleet.servers[asked].dynamo("-p", str(number), "--json").stdout)
        return str(row["status"]) if row["status"] not in ("new", "assigned", "run") else ""

    assert wait_for(ended, "End of the slow writer") in ("failed", "killed")


def test_what_one_server_writes_is_on_the_boards_of_the_others_at_once(
    fleet: Fleet, mariadb: MariaDB
) -> None:
    wait_for(lambda: all(row["status"] == "online" for row in fleet.rows(0).values()), "All servers online")
    slow = fleet.servers[2]
    log = slow.folder / "log" / "server.log"
    known = len(log.read_text())
    columns = "SELECT cmd, obj, seq, epoch, n, last, writer FROM board2.inventory_updates ORDER BY id"
    slow.send(signal.SIGSTOP)
    try:
        fleet.write(0, "Posted")
        rows = wait_for(lambda: mariadb.rows(columns), "Rows on the board of the server that sleeps")
    finally:
        slow.send(signal.SIGCONT)
    assert [(row[0], json.loads(row[1])["class"], row[4], row[5]) for row in rows[:2]] == [
        ("update", "Site", 0, 0),
        ("update", "Dataset", 1, 1),
    ]
    assert rows[0][2:4] == rows[1][2:4]
    assert rows[0][6] in ("dyn0", "dyn1")
    wait_for(lambda: not mariadb.rows(columns), "An empty board")
    wait_for(lambda: f"Applied batch {rows[0][2]} of the board" in log.read_text()[known:], "The change")
    fleet.wait_until_equal(0, 1, 2)


def test_w5_what_is_no_change_on_a_board_changes_nothing(fleet: Fleet, mariadb: MariaDB) -> None:
    fleet.write(0, "BeforeGarbage")
    fleet.wait_until_equal(0, 1, 2)
    (number,) = mariadb.rows("SELECT MAX(seq) FROM dynamoserver.change_batches")[0]
    (epoch,) = mariadb.rows("SELECT epoch FROM dynamoserver.lease WHERE name = 'write'")[0]
    garbage = (
        "__import__('os')._exit(99)",
        '{"class": "Site"}',
        '{"class": "Os", "name": "x"}',
        '{"class": "DatasetReplica", "dataset": "/nowhere", "site": "BeforeGarbage"}',
        '{"class": "Site", "name": "OfAnOldEpoch"}',
    )
    for offset, text in enumerate(garbage):
        old = text.endswith('"OfAnOldEpoch"}')
        mariadb.run(
            "INSERT INTO board2.inventory_updates (cmd, obj, seq, epoch, n, last, writer)"
            f" VALUES ('update', '{mariadb.quoted(text)}', {number + 1}, {epoch * (not old)}, 0, 1, 'x{offset}')"
        )
        wait_for(lambda: not mariadb.rows("SELECT 1 FROM board2.inventory_updates"), "An empty board")
    fleet.write(1, "AfterGarbage")
    fleet.wait_until_equal(0, 1, 2)
    assert fleet.servers[2].is_up()
    assert "OfAnOldEpoch" not in fleet.servers[2].inventory().sites
    assert "not what the log has" in (fleet.servers[2].folder / "log" / "server.log").read_text()


@pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")
def test_w14_output_and_exit_codes_reach_clients_whichever_server_works(fleet: Fleet) -> None:
    body = (
        "import sys\nprint('job', sys.argv[1])\nprint('aside', file=sys.stderr)\nsys.exit(int(sys.argv[1]))\n"
    )
    path = fleet.servers[0].script(body, "coded.py")
    worked: set[str] = set()

    def all_worked() -> bool:
        with ThreadPoolExecutor(10) as pool:
            jobs = [pool.submit(fleet.servers[n % 3].dynamo, "-t", "coded", f"{path} {n}") for n in range(10)]
        for number, job in enumerate(jobs):
            done = job.result()
            assert (done.returncode, done.stdout) == (number, f"job {number}\n"), done.stderr
            assert "aside" in done.stderr
        rows = map(json.loads, fleet.servers[0].dynamo("-l", "--json").stdout.splitlines())
        worked.update(row["server"] for row in rows if row["title"] == "coded")
        return worked == {"dyn0", "dyn1", "dyn2"}

    wait_for(all_worked, "Work of all servers")


def test_b9_a_server_that_is_behind_catches_up_from_the_log_without_loading(
    fleet: Fleet, mariadb: MariaDB
) -> None:
    late = fleet.servers[2]
    log = late.folder / "log" / "server.log"
    known = len(log.read_text())
    late.send(signal.SIGSTOP)
    try:
        for number in range(3):
            fleet.write(number % 2, f"Behind{number}")
        rows = "SELECT DISTINCT seq FROM board2.inventory_updates"
        wait_for(lambda: len(mariadb.rows(rows)) == 3, "What is written on its board")
        mariadb.run("DELETE FROM board2.inventory_updates")
    finally:
        late.send(signal.SIGCONT)
    fleet.wait_until_equal(0, 1, 2)
    assert {f"Behind{number}" for number in range(3)} <= set(late.inventory().sites)
    said = log.read_text()[known:]
    assert said.count("of the log") >= 3
    assert "Cloning" not in said
    assert "Loaded" not in said


def test_b7_a_primary_that_stops_hands_over(fleet: Fleet, mariadb: MariaDB) -> None:
    first = int(wait_for(lambda: (fleet.primary(0) is not None) and f"{fleet.primary(0)}", "A primary"))
    others = [number for number in range(3) if number != first]
    fleet.servers[first].stop()
    # A server that is killed keeps its right until that ends.
    assert mariadb.rows("SELECT holder FROM dynamoserver.lease WHERE name = 'primary'") != [(f"dyn{first}",)]
    assert f"dyn{first}" not in fleet.rows(others[0])
    wait_for(lambda: fleet.primary(others[0]) in others, "Another primary")
    fleet.write(others[1], "HandedOver")
    fleet.servers[first].start()
    fleet.wait_until_equal(0, 1, 2)


def test_a_server_that_joins_late_clones_and_one_that_stops_leaves(fleet: Fleet) -> None:
    fleet.write(0, "Early")
    fleet.servers[2].stop()
    wait_for(lambda: set(fleet.rows(0)) == {"dyn0", "dyn1"}, "Departure of a server")
    for path in fleet.servers[2].folder.glob("store.db*"):
        path.unlink()
    fleet.write(1, "Meanwhile")
    fleet.servers[2].start()
    fleet.wait_until_equal(0, 1, 2)
    log = (fleet.servers[2].folder / "log" / "server.log").read_text()
    assert "Cloning the store of dyn" in log


def test_servers_outlive_the_master_database_and_go_on_when_it_is_back(
    fleet: Fleet, mariadb: MariaDB
) -> None:
    fleet.write(0, "BeforeCut")
    mariadb.kill()
    done = fleet.servers[1].dynamo("-W", "-t", "writer", f"{fleet.writer} DuringCut")
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    mariadb.start()
    for number in range(3):
        fleet.write(number, f"AfterCut{number}")
    fleet.wait_until_equal(0, 1, 2)
    sites = set(fleet.servers[0].inventory().sites)
    assert {"BeforeCut", "AfterCut0", "AfterCut1", "AfterCut2"} <= sites
    assert "DuringCut" not in sites


def test_b7_b9_a_server_waits_for_the_database_and_catches_up_from_the_log(
    fleet: Fleet, mariadb: MariaDB
) -> None:
    late = fleet.servers[2]
    late.stop()
    fleet.write(0, "WhileAway")
    log = late.folder / "log" / "server.log"
    known = len(log.read_text())
    mariadb.kill()
    late.start(wait=False)
    wait_for(
        lambda: "waiting for the master database since" in log.read_text()[known:], "A message about waiting"
    )
    mariadb.start()
    wait_for(late.is_up, "Start of the server that waited")
    fleet.wait_until_equal(0, 1, 2)
    assert "Applied batch" in log.read_text()[known:]
    assert "Cloning" not in log.read_text()[known:]


def test_a_server_whose_store_was_changed_by_hand_becomes_a_clone_again(fleet: Fleet) -> None:
    fleet.write(0, "Shared")
    fleet.wait_until_equal(0, 1, 2)
    damaged = fleet.servers[2]
    damaged.stop()
    with sqlite3.connect(damaged.folder / "store.db") as database:
        database.execute("DELETE FROM sites WHERE name = 'Shared'")
    damaged.start()
    quota = fleet.servers[0].script(
        "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import SitePartition\n"
        "inventory.update(SitePartition('Shared', 'Owned', 5))\n",
        "quota.py",
    )
    fleet.servers[0].run("exec_auth", "-x", quota, "-t", "quota")

    def accepted() -> bool:
        # The damaged server may take the job: its program does not find the site, and fails.
        return fleet.servers[0].dynamo("-W", "-t", "quota", quota).returncode == 0

    wait_for(accepted, "A change of the site that one server has lost")
    wait_for(lambda: fleet.rows(2)["dyn2"]["status"] == "online", "Return of the damaged server")
    fleet.wait_until_equal(0, 1, 2)
    assert "This server is out of sync" in (damaged.folder / "log" / "server.log").read_text()
