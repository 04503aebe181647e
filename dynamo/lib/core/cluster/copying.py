"""Makes a MariaDB a copy of a leader's database, at a known position of its log."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from dynamo.core.cluster.replica import UNFINISHED, Replica, roles_locked, rows, run

LOG = logging.getLogger(__name__)

COPY_S = 600
"""How long one statement may take, in seconds."""
ROWS_AT_ONCE = 5000


def rebuild(own: Replica, leader: Replica, conflicts: Path) -> None:
    """Replace the database of a MariaDB by a leader's.  Batches that only it has are put into a folder.

    Raises OperationalError; then, or after a crash, it counts as unfinished, and is built anew the next time.
    """
    db = own.params["db"]
    with own.connected(COPY_S) as target, leader.connected(COPY_S) as source, roles_locked(target):
        run(source, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        run(source, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        place = {
            row["Variable_name"]: row["Value"] for row in rows(source, "SHOW STATUS LIKE 'binlog_snapshot_%'")
        }
        (answer,) = rows(
            source,
            "SELECT BINLOG_GTID_POS(%s, %s) AS pos",
            place["Binlog_snapshot_file"],
            int(place["Binlog_snapshot_position"]),
        )
        tables = [str(row["name"]) for row in _tables(source, leader.params["db"])]
        _keep_conflicts(target, source, db, leader.params["db"], conflicts)
        run(target, "STOP SLAVE")
        run(target, "RESET SLAVE ALL")
        run(target, "SET SESSION foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        run(target, f"INSERT IGNORE INTO {UNFINISHED} VALUES (1)")
        run(target, f"DROP DATABASE IF EXISTS `{db}`")
        run(target, f"CREATE DATABASE `{db}`")
        run(target, f"USE `{db}`")
        run(source, f"USE `{leader.params['db']}`")
        target.begin()
        for table in tables:
            (made,) = rows(source, f"SHOW CREATE TABLE `{table}`")
            run(target, made["Create Table"])
        for table in tables:
            _copy_rows(source, target, table)
        target.commit()
        run(target, "RESET MASTER")
        run(target, "SET GLOBAL gtid_slave_pos = %s", answer["pos"] or "")
        run(target, f"DELETE FROM {UNFINISHED}")
    LOG.info("MariaDB %s is a copy of %s as of %s", own.name, leader.name, answer["pos"])


def _tables(connection: Connection[DictCursor], db: str) -> list[dict[str, Any]]:
    return rows(
        connection,
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s ORDER BY create_time",
        db,
    )


def _copy_rows(source: Connection[DictCursor], target: Connection[DictCursor], table: str) -> None:
    with source.cursor(pymysql.cursors.SSCursor) as reading, target.cursor() as writing:
        reading.execute(f"SELECT * FROM `{table}`")
        marks = ", ".join(["%s"] * len(reading.description or ()))
        while found := reading.fetchmany(ROWS_AT_ONCE):
            writing.executemany(f"INSERT INTO `{table}` VALUES ({marks})", list(found))


def _keep_conflicts(
    target: Connection[DictCursor], source: Connection[DictCursor], own_db: str, db: str, folder: Path
) -> None:
    """Write batches that are here and not, or otherwise, at the leader into files; they were never acknowledged."""
    there = {row["name"] for row in _tables(target, own_db)}
    if "change_batches" not in there or not any(
        row["name"] == "change_batches" for row in _tables(source, db)
    ):
        return
    columns = "seq, epoch, writer, app_id"
    known = {tuple(row.values()) for row in rows(source, f"SELECT {columns} FROM `{db}`.change_batches")}
    (least,) = rows(source, f"SELECT COALESCE(MIN(seq), 0) AS seq FROM `{db}`.change_batches")
    for row in rows(target, f"SELECT {columns} FROM `{own_db}`.change_batches WHERE seq >= %s", least["seq"]):
        if tuple(row.values()) in known:
            continue
        changes = rows(
            target, f"SELECT cmd, obj FROM `{own_db}`.changes WHERE seq = %s ORDER BY n", row["seq"]
        )
        commands = [[change["cmd"], json.loads(change["obj"])] for change in changes]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{row['seq']}-{row['epoch']}-{int(time.time())}.json"
        path.write_text(json.dumps({**row, "commands": commands}, indent=1))
        LOG.error("Batch %s of %s was never acknowledged; it is kept in %s", row["seq"], row["writer"], path)
