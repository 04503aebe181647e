"""Servers without a store of their own, and servers that leave after they have finished what they do."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dynamo import snapshot as snapshot_module
from tests.dynamo.cluster.test_fleet import WRITER
from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import SingleServer, wait_for
from tests.dynamo.snapshot import snapshot

LONG = pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")

SHOW = inspect.getsource(snapshot_module) + (
    "\nimport json\nfrom dynamo.core.executable import inventory\nprint(json.dumps(snapshot(inventory)))\n"
)
FILES = """
from dynamo.core.executable import inventory
from dynamo.dataformat import Block, BlockReplica, Dataset, DatasetReplica, File, Site
inventory.update(Site("F"))
inventory.update(Dataset("/F/1"))
block = inventory.update(Block("b", "/F/1", size=30, num_files=2))
inventory.update(File("/f1", "/F/1#b", 10))
inventory.update(File("/f2", "/F/1#b", 20))
inventory.update(DatasetReplica("/F/1", "F"))
inventory.update(BlockReplica("/F/1#b", "F", None, size=10, file_ids=["/f1"]))
"""
LIST = """
from dynamo.core.executable import inventory
block = inventory.datasets["/F/1"].find_block("b")
print(sorted(file.lfn for file in block.files), sorted(file.lfn for file in block.find_replica("F").files()))
"""
POISON = """
from dynamo.core.executable import inventory
from dynamo.core.objectrepository import Command
value = {"class": "BlockReplica", "block": "/F/1#b", "site": "F", "group": None, "size": 1, "file_ids": ["/nowhere"]}
inventory.commands.append(Command("update", value, ""))
"""


class Fleet:
    """dyn0 has a store and runs nothing, dyn1 has no store, dyn2 has one and starts later."""

    def __init__(self, folder: Path, database: MariaDB) -> None:
        self.database = database
        store = database.create("dynamo_of_dyn0")
        self.servers: list[SingleServer] = []
        for number in range(3):
            place = folder / f"server{number}"
            place.mkdir()
            first = self.servers[0] if self.servers else None
            self.servers.append(
                SingleServer(
                    place,
                    name=f"dyn{number}",
                    master={"db_params": database.create("dynamoserver") if first is None else self.master},
                    authority=first.authority if first else None,
                    with_users=first is None,
                    store={"module": "mysqlstore:MySQLInventoryStore", "config": {"db_params": store}}
                    if first is None
                    else None,
                    has_store=number != 1,
                    applications=number != 0,
                )
            )
            self.master = {**store, "db": "dynamoserver"}
        for name, text in (("write", WRITER), ("files", FILES), ("poison", POISON)):
            path = self.servers[0].script(text, f"{name}.py")
            assert self.servers[0].run("exec_auth", "-x", path, "-t", name).returncode == 0
        self.script = {
            name: self.servers[0].script(text, f"{name}.py")
            for name, text in (("show", SHOW), ("list", LIST))
        }

    def run(self, server: int, name: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program by way of a server, as one that writes if it may."""
        path = self.servers[0].folder / f"{name}.py"
        options = () if name in self.script else ("-W", "-t", name)
        return self.servers[server].dynamo(*options, f"{path} {arguments}".strip())

    def rows(self, asked: int) -> dict[str, dict[str, Any]]:
        lines = self.servers[asked].dynamo("--servers", "--json").stdout.splitlines()
        return {row["name"]: row for row in map(json.loads, lines)}

    def log(self, server: int) -> str:
        path = self.servers[server].folder / "log" / "server.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDB) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("storeless"), mariadb)
    try:
        yield fleet
    finally:
        for server in fleet.servers:
            server.stop(signal.SIGKILL)
        for name in ("dynamoserver", "dynamo_of_dyn0"):
            mariadb.drop(name)


def _sites(server: SingleServer) -> set[str]:
    url = f"http://localhost:{server.ports['http']}/data/inventory/sites"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return {site["name"] for site in json.load(answer)["data"]}


def test_a_server_without_a_store_waits_for_one_and_then_has_the_same(fleet: Fleet) -> None:
    alone = fleet.servers[1]
    alone.start(wait=False)
    wait_for(lambda: "waiting for a server with a store since" in fleet.log(1), "A message about waiting")
    web = re.search(r"Web: (http://\S+)", (alone.folder / "log" / "web.log").read_text())
    assert web is not None
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{web[1]}/data/inventory/sites", timeout=60)
    assert refused.value.code == 503
    assert "try again in a few moments" in json.load(refused.value)["message"]
    fleet.servers[0].start(wait=False)
    wait_for(alone.is_up, "Start of the server without a store")
    rows = fleet.rows(1)
    assert (rows["dyn0"]["store"], rows["dyn1"]["store"]) == ("own", "of dyn0")
    assert rows["dyn1"]["status"] == "online"
    # dyn0 runs nothing, so all of it runs where there is no store.
    for number in range(3):
        done = fleet.run(1, "write", f"Storeless{number}")
        assert (done.returncode, done.stdout) == (0, f"wrote Storeless{number}\n"), done.stderr
    assert {f"Storeless{number}" for number in range(3)} <= _sites(alone)


def test_programs_there_see_and_change_files(fleet: Fleet) -> None:
    assert fleet.run(1, "files").returncode == 0
    assert fleet.run(1, "list").stdout == "['/f1', '/f2'] ['/f1']\n"
    done = fleet.run(1, "poison")
    assert done.returncode == 1
    assert "Could not find file /nowhere" in done.stderr
    assert fleet.run(1, "write", "AfterPoison").returncode == 0
    shown = json.loads(fleet.run(1, "show").stdout)
    shown["datasets"]["/F/1"]["replicas"]["F"]["block_replicas"]["b"].pop("file_ids")
    stored = json.loads(json.dumps(snapshot(fleet.servers[0].inventory())))
    stored["datasets"]["/F/1"]["replicas"]["F"]["block_replicas"]["b"].pop("file_ids")
    assert shown == stored


@LONG
def test_another_store_is_read_when_the_first_ones_server_has_gone(fleet: Fleet) -> None:
    fleet.servers[2].start()
    assert fleet.run(1, "write", "BeforeDeath").returncode == 0
    fleet.servers[0].stop(signal.SIGKILL)
    wait_for(lambda: fleet.rows(1)["dyn1"]["store"] == "of dyn2", "Another store")
    wait_for(lambda: fleet.rows(1)["dyn1"]["status"] == "online", "A current image")
    assert fleet.run(1, "write", "AfterDeath").returncode == 0
    wait_for(lambda: "AfterDeath" in fleet.servers[2].inventory().sites, "The change in the other store")
    assert "AfterDeath" in _sites(fleet.servers[1])
    fleet.servers[0].start(wait=False)
    wait_for(lambda: "AfterDeath" in fleet.servers[0].inventory().sites, "The change in the first store")
    fleet.servers[2].stop()
    wait_for(lambda: fleet.rows(1)["dyn1"]["store"] == "of dyn0", "The first store again")
    assert {"BeforeDeath", "AfterDeath"} <= _sites(fleet.servers[1])


def test_a_server_that_drains_finishes_its_jobs_takes_no_new_ones_and_leaves(fleet: Fleet) -> None:
    fleet.servers[2].start()
    wait_for(lambda: fleet.rows(1)["dyn1"]["status"] == "online", "A current image")
    with tempfile.TemporaryDirectory(prefix="dynamo-flag-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        flag = Path(name) / "go"
        waiting = (
            f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.05)\nprint('end')\n"
        )
        slow = fleet.servers[0].script(waiting, "slow.py")
        numbers = [
            json.loads(fleet.servers[asked].dynamo("-A", "--json", slow).stdout)["appid"]
            for asked in (1, 2, 1, 2)
        ]

        def running() -> dict[int, str]:
            polled = [
                json.loads(fleet.servers[1].dynamo("-p", str(number), "--json").stdout) for number in numbers
            ]
            return {row["appid"]: row["server"] for row in polled if row["status"] == "run"}

        wait_for(lambda: len(running()) == len(numbers), "Start of the slow programs")
        where = running()
        leaving = "dyn2" if "dyn2" in where.values() else "dyn1"
        number, other = int(leaving[-1]), "dyn1" if leaving == "dyn2" else "dyn2"
        asked = int(other[-1])
        unknown = fleet.servers[asked].dynamo("--drain", "dyn9")
        assert (unknown.returncode, "There is no server dyn9" in unknown.stderr) == (1, True)
        assert fleet.servers[asked].dynamo("--drain", leaving).returncode == 0
        wait_for(lambda: fleet.rows(asked)[leaving]["status"] == "draining", "The order")
        page = f"http://localhost:{fleet.servers[asked].ports['http']}/web/servers"
        with urllib.request.urlopen(page, timeout=60) as answer:
            assert "draining" in answer.read().decode()
        refused = fleet.servers[number].dynamo(fleet.script["show"])
        assert refused.returncode == 1
        assert f"Server {leaving} is draining" in refused.stderr
        for _ in range(3):
            answered = fleet.servers[asked].dynamo("-A", "--json", fleet.script["show"])
            appid = json.loads(answered.stdout)["appid"]

            def ended(appid: int = appid) -> dict[str, Any]:
                row = json.loads(fleet.servers[asked].dynamo("-p", str(appid), "--json").stdout)
                return dict(row) if row["status"] == "done" else {}

            assert wait_for(ended, "A program beside a server that drains")["server"] == other
        assert fleet.servers[number].is_up()
        assert leaving in running().values()
        assert not fleet.rows(asked)[leaving]["primary"]
        flag.touch()
        assert fleet.servers[number].wait_for_end() == 0
        wait_for(lambda: leaving not in fleet.rows(asked), "Departure of the server")
        for appid in numbers:
            row = json.loads(fleet.servers[asked].dynamo("-p", str(appid), "--json").stdout)
            assert (row["status"], row["exit_code"]) == ("done", 0)
    fleet.servers[number].start()
    wait_for(lambda: fleet.rows(asked)[leaving]["status"] == "online", "Return of the server")


@LONG
def test_an_order_to_drain_can_be_taken_back(fleet: Fleet) -> None:
    with tempfile.TemporaryDirectory(prefix="dynamo-flag-") as name:
        Path(name).chmod(0o755)
        flag = Path(name) / "go"
        waiting = f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.05)\n"
        slow = fleet.servers[0].script(waiting, "slow.py")
        appid = json.loads(fleet.servers[1].dynamo("-A", "--json", slow).stdout)["appid"]

        def runner() -> str:
            row = json.loads(fleet.servers[1].dynamo("-p", str(appid), "--json").stdout)
            return str(row["server"]) if row["status"] == "run" else ""

        busy = wait_for(runner, "Start of the slow program")
        for option, status in (("--drain", "draining"), ("--stay", "online")):
            assert fleet.servers[1].dynamo(option, busy).returncode == 0
            wait_for(lambda status=status: fleet.rows(1)[busy]["status"] == status, status)
        flag.touch()
        wait_for(lambda: not runner(), "End of the slow program")
    assert fleet.servers[int(busy[-1])].is_up()
    assert fleet.run(int(busy[-1]), "list").returncode == 0
