"""What servers write into the tables that they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.cluster.member import Member
from dynamo.core.components.impl import mysql_database
from dynamo.core.components.impl.database import Database
from dynamo.core.components.persistency import InventoryStore
from dynamo.core.inventory import DynamoInventory
from dynamo.core.master.applications import ApplicationQueue, AuthLevel, Status
from dynamo.core.master.changelog import ChangeLog
from dynamo.core.master.database import open_master
from dynamo.core.master.lease import DEAD_S, WRITE, Fenced, Leases
from dynamo.core.master.servers import Servers, ServerStatus
from dynamo.core.serverconfig import Component, MasterConfig, read_server_config
from dynamo.dataformat import ConfigurationError, OperationalError, Site, wire

from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import wait_for

Connections = tuple[Database, Database, Database]


def test_w10_a_store_opens_without_any_other_configuration(tmp_path: Path) -> None:
    store = InventoryStore.get_instance(
        "sqlitestore:SQLiteInventoryStore", {"path": str(tmp_path / "store.db")}
    )
    assert store.version() == (0, 0)
    with pytest.raises(ConfigurationError, match="does not exist"):
        InventoryStore.get_instance("nostore:NoStore", {})


def test_w11_no_password_is_written_into_a_table(tmp_path: Path) -> None:
    database = open_master(MasterConfig(path=str(tmp_path / "server.db")))
    params = {"host": "h", "user": "u", "passwd": "secret", "db": "dynamo"}
    Servers(database).beat(
        "s", ServerStatus.ONLINE, "mysqlstore:MySQLInventoryStore", {"db_params": params}, 1
    )
    (row,) = Servers(database).listed()
    assert row.store_config == {"db_params": {"host": "h", "user": "u", "db": "dynamo"}}
    database.close()
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("status", list(ServerStatus))
def test_w12_every_status_is_stored_and_shown_as_itself(tmp_path: Path, status: ServerStatus) -> None:
    servers = Servers(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    servers.beat("s", status, "", {}, 0)
    assert [row.status for row in servers.listed()] == [status]


def test_a_server_is_initial_then_starting_then_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"module": "sqlitestore:SQLiteInventoryStore", "config": {"path": str(tmp_path / "store.db")}}
    member = Member(
        "s",
        DynamoInventory({"persistency": config}),
        open_master(MasterConfig(path=str(tmp_path / "server.db"))),
        10,
        Component.model_validate(config),
        {},
    )
    seen: list[tuple[ServerStatus, bool]] = []
    beat = Servers.beat

    def noted(servers: Servers, name: str, status: ServerStatus, *rest: Any) -> None:
        seen.append((status, member.inventory.loaded))
        beat(servers, name, status, *rest)

    monkeypatch.setattr(Servers, "beat", noted)
    asyncio.run(member.start(60))
    assert seen == [
        (ServerStatus.INITIAL, False),
        (ServerStatus.STARTING, False),
        (ServerStatus.ONLINE, True),
    ]
    member.inventory.close()


@pytest.fixture(params=["sqlite", "mariadb"])
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MasterConfig]:
    if request.param == "sqlite":
        yield MasterConfig(path=str(tmp_path / "server.db"))
        return
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    yield MasterConfig(db_params=mariadb.create("leases"))
    mariadb.drop("leases")


def test_b3_only_the_holder_of_the_newest_epoch_adds_to_the_log(master: MasterConfig) -> None:
    first, second = (open_master(master) for _ in range(2))
    ours, theirs = Leases(first, "ours", ttl=3600), Leases(second, "theirs", ttl=3600)
    held = ours.acquire(WRITE)
    assert held is not None
    assert theirs.acquire(WRITE) is None
    change = [("update", wire.encode(Site("S")))]
    assert ChangeLog(first, ours).append(held, "ours", 1, change).sequence == 1
    ours.release(held)
    taken = theirs.acquire(WRITE)
    assert taken is not None
    assert taken.epoch > held.epoch
    with pytest.raises(Fenced, match="went to another server; nothing was changed"):
        ChangeLog(first, ours).append(held, "ours", 2, change)
    assert not ours.renew(held)
    ChangeLog(second, theirs).append(taken, "theirs", 3, change)
    batches = ChangeLog(first, ours).after(0)
    assert [(batch.writer, batch.commands) for batch in batches] == [("ours", change), ("theirs", change)]
    first.close()
    second.close()


@pytest.fixture
def impatient(mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connections]:
    """Three connections to one database, which believe at once that nobody else has one."""
    monkeypatch.setattr(mysql_database, "SETTLED_S", 0.0)
    master = MasterConfig(db_params=mariadb.create("life"))
    found = (open_master(master), open_master(master), open_master(master))
    yield found
    for database in found:
        database.close()
    mariadb.drop("life")


def test_rights_of_a_process_that_has_died_are_taken_before_they_end(impatient: Connections) -> None:
    first, second, third = impatient
    ours, theirs = Leases(first, "ours", ttl=3600), Leases(second, "theirs", ttl=3600)
    held = ours.acquire(WRITE)
    assert held is not None
    for _ in range(30):  # it lives
        assert theirs.acquire(WRITE) is None
        time.sleep(0.1)
    first.close()  # as the kernel does for a process that was killed
    assert theirs.acquire(WRITE) is None, "the first look only begins to wait"
    taken = wait_for(lambda: theirs.acquire(WRITE), "The right to write")
    assert taken.epoch > held.epoch
    late = Leases(third, "ours", ttl=3600)
    with pytest.raises(Fenced, match="went to another server; nothing was changed"):
        ChangeLog(third, late).append(held, "ours", 2, [("update", wire.encode(Site("S")))])
    assert not late.renew(held)
    assert ChangeLog(second, theirs).last() == 0


def test_a_holder_whose_connection_was_lost_shows_life_again(
    mariadb: MariaDB, impatient: Connections
) -> None:
    first, second, _ = impatient
    ours, theirs = Leases(first, "ours", ttl=3600), Leases(second, "theirs", ttl=3600)
    held = ours.acquire(WRITE)
    assert held is not None
    ((number,),) = list(first.rows("SELECT CONNECTION_ID()"))
    mariadb.run(f"KILL {number}")
    with pytest.raises(OperationalError):
        ours.renew(held)
    assert theirs.acquire(WRITE) is None
    assert ours.renew(held)
    assert second.shows_life("ours")
    time.sleep(DEAD_S + 0.5)
    assert theirs.acquire(WRITE) is None


def test_a_holder_shows_life_once_the_database_has_missed_its_connection_of_before(
    impatient: Connections,
) -> None:
    stale, first, second = impatient
    stale.show_life("ours")
    ours = Leases(first, "ours", ttl=3600)
    held = ours.acquire(WRITE)
    assert held is not None
    stale.close()
    deadline = time.monotonic() + 60
    while second.shows_life("ours"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ours.renew(held)
    assert second.shows_life("ours")


def test_nobody_is_taken_for_dead_while_all_may_be_connecting_anew(mariadb: MariaDB) -> None:
    database = open_master(MasterConfig(db_params=mariadb.create("anew")))
    assert database.shows_life("somebody who never was")
    database.close()
    mariadb.drop("anew")


def test_b4_an_application_that_was_assigned_without_an_answer_waits_again(tmp_path: Path) -> None:
    queue = ApplicationQueue(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    for title in ("known", "lost"):
        queue.submit(title, b"pass", "", AuthLevel.NOAUTH, "/w", 1, "s")
        assert queue.assign_next("s", writer=False) is not None
    assert queue.give_back("s", {1}) == 1
    assert [(app.title, app.status, app.server) for app in queue.newest()] == [
        ("lost", Status.NEW, ""),
        ("known", Status.ASSIGNED, "s"),
    ]
    assert queue.give_back("other", ()) == 0


def test_a_wrong_configuration_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{"manager": {"master": {"path": "/x", "db_params": {}}}, "applications": {"tiemout": 1}}'
    )
    with pytest.raises(ConfigurationError, match=r"applications\.tiemout") as caught:
        read_server_config(str(path))
    assert "give either path" in str(caught.value)
