"""B8: random programs on random servers, some of which are killed, leave one inventory everywhere."""

from __future__ import annotations

import inspect
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamo.client.connection import Connection, ServerRefused
from dynamo.core.inventory import DynamoInventory
from dynamo.dataformat import OperationalError

from tests.dynamo import operations as operations_module
from tests.dynamo import snapshot as snapshot_module
from tests.dynamo.cluster.test_fleet import Fleet
from tests.dynamo.mariadb import MariaDB
from tests.dynamo.operations import PARTITIONS
from tests.dynamo.single_server import LIMIT_S, SingleServer, wait_for
from tests.dynamo.snapshot import named_snapshot

_LONG = bool(os.environ.get("DYNAMO_LONG"))
PROGRAMS = int(os.environ.get("DYNAMO_WRITERS", "1000" if _LONG else "12"))
"""How many random programs run."""
KILLS = int(os.environ.get("DYNAMO_KILLS", "50" if _LONG else "2"))
"""How often a server is killed meanwhile, and started again."""
AT_ONCE = 6
"""How many programs wait or run at a time."""

WRITER = (
    inspect.getsource(operations_module)
    + """
import sys
from dynamo.core.executable import inventory
from dynamo.dataformat import Dataset, DynamoError, Site, wire

name, seed = sys.argv[1], int(sys.argv[2])
inventory.update(Site(name))
for action, value in operations(seed, 12):
    try:
        obj = wire.decode(with_named_files(value))
        inventory.update(obj) if action == "update" else inventory.delete(obj)
    except DynamoError:
        continue
inventory.update(Dataset("/" + name + "/1"))
"""
)
READER = """
import sys
from dynamo.core.executable import inventory
sites = {name for name in inventory.sites.keys() if name.startswith("Job")}
datasets = {name.split("/")[1] for name in inventory.datasets.keys() if name.startswith("/Job")}
sys.exit(7 if sites != datasets else 0)
"""
SHOW = inspect.getsource(snapshot_module) + (
    "\nimport json\nprint('<<' + json.dumps(named_snapshot(inventory)) + '>>')\n"
)


class Submitter:
    """Hands programs to servers that may be killed at any moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def _ask(self, server: SingleServer, command: str, **arguments: Any) -> Any:
        connection = Connection(
            ("localhost", server.port), str(server.certificates["admin"]), None, str(server.ca)
        )
        try:
            return connection.ask(command, **arguments)
        finally:
            connection.close()

    def submit(self, asked: int, title: str, text: str, args: str, level: int) -> int | None:
        """Number of the application; None when its server refuses, or is lost just then."""
        try:
            answer = self._ask(
                self._fleet.servers[asked],
                "submit",
                mode="asynch",
                title=title,
                args=args,
                auth_level=level,
                timeout=0,
                exec=text,
            )
        except (OperationalError, OSError):
            return None
        return int(answer["appid"])

    def ended(self, number: int) -> dict[str, Any] | None:
        """The row of an application that has ended, asked of whichever server answers."""
        for server in self._fleet.servers:
            try:
                row = self._ask(server, "poll", appid=number)
            except ServerRefused:
                raise
            except (OperationalError, OSError):
                continue
            return dict(row) if row["status"] not in ("new", "assigned", "run") else None
        return None


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDB) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("many"), mariadb)
    writer = fleet.servers[0].script(WRITER, "random_writer.py")
    assert fleet.servers[0].run("exec_auth", "-x", writer, "-t", "random").returncode == 0
    try:
        for server in fleet.servers:
            (server.folder / "partitions.txt").write_text(PARTITIONS)
            server.start(wait=False)
        for server in fleet.servers:
            wait_for(server.is_up, "Start of a server")
        yield fleet
    finally:
        for server in fleet.servers:
            server.stop(signal.SIGKILL)
        fleet.drop(mariadb)


def _image(server: SingleServer) -> dict[str, Any]:
    """What a server has in memory, as its console shows it."""
    text = SHOW.encode().hex()
    done = server.dynamo(stdin=f"exec(bytes.fromhex({text!r}).decode(), globals())\n")
    assert "<<" in done.stdout, done.stdout + done.stderr
    return dict(json.loads(done.stdout.split("<<", 1)[1].split(">>", 1)[0]))


def _model(folder: Path, mariadb: MariaDB) -> tuple[dict[str, Any], int]:
    """All logged changes, applied in one process that has no store; and how many batches that were."""
    (folder / "partitions.txt").write_text(PARTITIONS)
    model = DynamoInventory({"partition_def_path": str(folder / "partitions.txt")})
    model.load()
    rows = mariadb.rows("SELECT seq, cmd, obj FROM dynamoserver.changes ORDER BY seq, n")
    for _, command, obj in rows:
        model.apply([(command, json.loads(obj))])
    return named_snapshot(model), len({seq for seq, _, _ in rows})


@pytest.mark.timeout(600 + 4 * PROGRAMS + 30 * KILLS)
def test_b8_random_programs_with_kills_leave_one_inventory_everywhere(
    fleet: Fleet, mariadb: MariaDB, tmp_path: Path
) -> None:
    dice = random.Random(8)
    submitter = Submitter(fleet)
    kill_at = set(dice.sample(range(PROGRAMS), KILLS))
    waiting: dict[int, str] = {}
    ends: dict[str, str] = {}
    lost = readers = 0

    def collect() -> bool:
        for number, name in list(waiting.items()):
            row = submitter.ended(number)
            if row is not None:
                del waiting[number]
                if name:
                    ends[name] = row["status"]
                else:
                    assert row["exit_code"] != 7, "a program saw half of a batch"
        return len(waiting) <= AT_ONCE // 3

    for number in range(PROGRAMS):
        if len(waiting) >= AT_ONCE:
            wait_for(collect, "End of some programs")
        for asked in dice.sample(range(3), 3):
            taken = submitter.submit(asked, "random", WRITER, f"Job{number} {number}", 3)
            if taken is not None:
                waiting[taken] = f"Job{number}"
                break
            lost += 1
        if number in kill_at:
            killed = fleet.servers[dice.randrange(3)]
            time.sleep(dice.random() / 10)
            killed.stop(signal.SIGKILL)
            killed.start(wait=False)
        elif number % 4 == 0:
            reading = submitter.submit(dice.randrange(3), "reader", READER, "", 1)
            if reading is not None:
                waiting[reading] = ""
                readers += 1
    wait_for(lambda: collect() and not waiting, "End of all programs", 4 * LIMIT_S)

    def level() -> bool:
        return all(row["behind"] == 0 and row["status"] == "online" for row in fleet.rows(0).values())

    wait_for(level, "All servers on the same batch")
    model, batches = _model(tmp_path, mariadb)
    images = [_image(server) for server in fleet.servers]
    plain_model = json.loads(json.dumps(model))
    for server, image in zip(fleet.servers, images, strict=True):
        assert image == plain_model
        assert json.loads(json.dumps(named_snapshot(server.inventory()))) == plain_model
    sites, datasets = set(model["sites"]), set(model["datasets"])
    for name, status in ends.items():
        assert (name in sites) == (f"/{name}/1" in datasets), f"half of {name} was applied"
        assert name in sites or status != "done", f"{name} was acknowledged and lost"
        assert name not in sites or status != "failed", f"{name} was refused and applied"
    counts = Counter(ends.values())
    done = counts["done"]
    print(
        f"{PROGRAMS} programs, {KILLS} kills, {readers} readers: {dict(counts)}, {lost} not taken, {batches} batches"
    )
    assert done >= PROGRAMS // 2
