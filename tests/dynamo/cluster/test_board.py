"""Boards: what servers write for each other, beside the log."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.cluster import courier
from dynamo.core.cluster.board import MODULE, Board, BoardDatabase, as_json, batches_of, post, rows_of
from dynamo.core.components.persistency import Version
from dynamo.core.master.changelog import Batch
from dynamo.core.master.database import open_master
from dynamo.core.master.servers import Servers, ServerStatus
from dynamo.core.serverconfig import MasterConfig, ServerConfig
from dynamo.dataformat import BlockReplica, Group, OperationalError, Site, wire

from tests.dynamo.mariadb import MariaDB


def _batch(sequence: int, *names: str, epoch: int = 1) -> Batch:
    commands: list[Any] = [("update", wire.encode(Site(name))) for name in names]
    return Batch(Version(epoch, sequence), "dyn0", commands)


def test_what_is_written_is_what_is_read_whatever_the_order_of_the_rows() -> None:
    written = [_batch(4, "A", "B", "C"), _batch(5, "D"), _batch(7, "E", "F", epoch=2)]
    rows = [row for batch in written for row in rows_of(batch)]
    random.Random(1).shuffle(rows)
    assert batches_of(rows) == written
    assert batches_of(rows + rows) == written


def test_a_batch_that_is_not_whole_or_cannot_be_read_is_left_to_the_log() -> None:
    whole, other = rows_of(_batch(4, "A", "B", "C")), rows_of(_batch(5, "D"))
    for missing in range(3):
        part = [row for number, row in enumerate(whole) if number != missing]
        assert batches_of(part + other) == [_batch(5, "D")]
    for cmd, obj in (("update", b"{"), ("drop", b"{}"), ("update", b"[]"), ("update", b"[" * 100_000)):
        assert batches_of([(cmd, obj, *whole[0][2:]), *whole[1:], *other]) == [_batch(5, "D")]


def test_a_board_has_rows_of_changes_in_json() -> None:
    replica = wire.encode(BlockReplica("/A#b", "S", "g", False, -1, 21, None))
    batch = Batch(Version(3, 9), "dyn1", [("update", replica), ("delete", wire.encode(Group("g")))])
    (cmd, obj, *rest), (other, _, *last) = rows_of(batch)
    assert (cmd, other) == ("update", "delete")
    assert json.loads(obj) == {
        "class": "BlockReplica",
        "block": "/A#b",
        "site": "S",
        "group": "g",
        "last_update": 21,
    } | {key: value for key, value in replica.items() if key in ("is_custodial", "size", "file_ids")}
    assert (rest, last) == ([9, 3, 0, 0, "dyn1"], [9, 3, 1, 1, "dyn1"])


@pytest.fixture
def params(mariadb: MariaDB) -> Iterator[dict[str, Any]]:
    yield mariadb.create("board")
    mariadb.drop("board")


def test_whole_batches_are_taken_from_a_board_once(params: dict[str, Any]) -> None:
    board = Board(params)
    assert (board.is_open, board.take()) == (False, [])
    board.open()
    other = BoardDatabase(params)
    for batch in (_batch(1, "A", "B"), _batch(2, "C")):
        post(other, batch)
    assert [row[0] for row in other.rows("SELECT cmd FROM inventory_updates")] == ["update"] * 3
    assert board.take() == [_batch(1, "A", "B"), _batch(2, "C")]
    assert board.take() == []
    post(other, _batch(3, "D"))
    board.close()
    again = Board(params)
    again.open()  # what was written for somebody who has gone is in the log
    assert again.take() == []
    again.close()
    other.close()


def test_without_its_database_there_is_no_board_and_no_error(params: dict[str, Any]) -> None:
    board = Board({**params, "db": "nowhere"})
    board.open()
    assert (board.is_open, board.take()) == (False, [])


def test_a_courier_delivers_to_all_and_one_that_is_lost_stops_nobody(params: dict[str, Any]) -> None:
    board = Board(params)
    board.open()
    peers = {"lost": {**params, "db": "nowhere"}, "there": params}
    batches = [_batch(number, f"S{number}") for number in range(1, 21)]
    courier.run(json.dumps({"batch": as_json(batch), "peers": peers}).encode() for batch in batches)
    assert board.take() == batches
    board.close()


def test_servers_say_where_their_boards_are_and_no_password(tmp_path: Path) -> None:
    servers = Servers(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    config = {"db_params": {"host": "h", "user": "u", "passwd": "secret", "db": "dynamoserver"}}
    servers.beat("s", ServerStatus.ONLINE, "", {}, 1, MODULE, config)
    servers.beat("t", ServerStatus.ONLINE, "", {}, 1)
    rows = {row.name: row.board_config for row in servers.listed()}
    assert rows == {"s": {"db_params": {"host": "h", "user": "u", "db": "dynamoserver"}}, "t": {}}


def test_a_table_of_servers_of_an_older_version_gets_its_columns(tmp_path: Path) -> None:
    config = MasterConfig(path=str(tmp_path / "server.db"))
    database = open_master(config)
    for column in ("board_module", "board_config"):
        database.execute(f"ALTER TABLE servers DROP COLUMN {column}")
    with pytest.raises(OperationalError):
        Servers(database).listed()
    database.close()
    servers = Servers(open_master(config))
    servers.beat("s", ServerStatus.ONLINE, "", {}, 1, MODULE, {"db_params": {"db": "d"}})
    assert [row.board_config for row in servers.listed()] == [{"db_params": {"db": "d"}}]


def test_a_server_writes_on_boards_as_it_is_known_there() -> None:
    master = {"db_params": {"host": "h", "user": "dynamosrv", "passwd": "one", "db": "dynamoserver"}}
    known = ServerConfig.model_validate({"manager": {"master": master}})
    assert known.posting() == {"user": "dynamosrv", "passwd": "one"}
    other = {"user": "messenger", "passwd": "two"}
    told = ServerConfig.model_validate({"manager": {"master": master, "posting": other}})
    assert told.posting() == other
