"""Messages that were changed on their way: refused, or read as what they say, and never executed."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from dynamo.core.applications.batch import BatchReader, batch_frames
from dynamo.core.applications.frames import frame, read_frame
from dynamo.core.cluster.board import batches_of, rows_of
from dynamo.core.components.persistency import Version
from dynamo.core.inventory import BatchRefused, ObjectRepository
from dynamo.core.master.changelog import Batch
from dynamo.core.master.database import open_master
from dynamo.core.registry.desk import Desk
from dynamo.core.serverconfig import MasterConfig
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    DynamoError,
    File,
    Group,
    ObjectError,
    OperationalError,
    Site,
    SitePartition,
    wire,
)
from dynamo.dataformat.literal import make_object

from tests.dynamo.hostile.mutation import LONG, MUTATIONS, mutated
from tests.dynamo.single_server import SingleServer
from tests.dynamo.snapshot import snapshot

pytestmark = pytest.mark.timeout(3600 if LONG else 300)

OBJECTS = (
    Dataset("/A/1", "valid", "test", (1, "x")),
    Block("b", "/A/1", 5, 1),
    File("/f", "/A/1#b", 5, ("abc",)),
    Group("g", "Dataset"),
    Site("S", filename_mapping={"p": [[("/(.+)", "x{0}")]]}),
    SitePartition("S", "P", 5),
    DatasetReplica("/A/1", "S", True, "g"),
    BlockReplica("/A/1#b", "S", "g", size=3, file_ids=[1, "/f"]),
)


def test_w5_texts_of_objects() -> None:
    dice = random.Random(5)
    for _ in range(MUTATIONS):
        text = mutated(dice, repr(dice.choice(OBJECTS)).encode()).decode("utf-8", "replace")
        try:
            wire.encode(make_object(text))
        except ObjectError:
            continue


def test_w5_objects_on_the_wire_leave_the_inventory_whole() -> None:
    dice = random.Random(6)
    inventory = ObjectRepository()
    for obj in (OBJECTS[3], OBJECTS[4], OBJECTS[0]):
        inventory.update(obj)
    for _ in range(MUTATIONS):
        data = mutated(dice, json.dumps(wire.encode(dice.choice(OBJECTS))).encode())
        before = snapshot(inventory)
        try:
            obj = wire.decode(json.loads(data))
        except (ObjectError, ValueError, RecursionError):
            continue
        try:
            inventory.update(obj)
        except DynamoError:
            assert snapshot(inventory) == before


def test_w5_rows_of_a_board_are_whole_batches_of_changes_or_nothing() -> None:
    dice = random.Random(8)
    whole = 0
    for number in range(MUTATIONS):
        commands: list[Any] = [("update", wire.encode(dice.choice(OBJECTS))) for _ in range(3)]
        rows = [list(row) for row in rows_of(Batch(Version(1, number), "dyn0", commands))]
        for row in dice.sample(rows, dice.randrange(3)):
            column = dice.randrange(6)
            if column == 0:
                row[0] = mutated(dice, row[0].encode()).decode("utf-8", "replace")
            elif column == 1:
                row[1] = mutated(dice, row[1])
            else:
                row[column] = dice.choice((0, 1, 2, number, -1, 1 << 62))
        for batch in batches_of([tuple(row) for row in rows]):
            whole += 1
            for action, value in batch.commands:
                assert action in ("update", "delete")
                try:
                    wire.decode(value)
                except DynamoError:
                    continue
    assert whole > MUTATIONS / 10


def test_w5_batches_on_a_pipe_are_whole_or_refused() -> None:
    dice = random.Random(7)
    inventory = ObjectRepository()
    for obj in (OBJECTS[3], OBJECTS[4], OBJECTS[0], OBJECTS[1]):
        inventory.update(obj)
    sent = b"".join(batch_frames(inventory.commands))
    commands = [(command.action, json.loads(json.dumps(command.obj))) for command in inventory.commands]
    whole = 0
    for _ in range(MUTATIONS):
        reader = BatchReader()
        data = mutated(dice, sent)
        try:
            for begin in range(0, len(data), 97):
                reader.feed(data[begin : begin + 97])
        except BatchRefused:
            continue
        if reader.is_complete:
            whole += 1
            assert reader.commands == commands
    assert whole < MUTATIONS // 10


QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "requests.copy",
        {"items": ["/a"], "sites": ["S"], "group": "g", "copies": 1, "user": "u", "dn": "/CN=u"},
    ),
    ("requests.find", {"kind": "copy", "request_id": 1, "items": ["/a"], "after": 0, "limit": 10}),
    ("requests.close", {"kind": "copy", "request_id": 1, "status": "cancelled", "reason": "r"}),
    ("requests.activate", {"kind": "copy", "request_id": 1, "actions": [["/a", "S"]]}),
    ("locks.lock", {"app": "detox", "user": "u", "service": None, "note": "n"}),
    (
        "deletion_locks.lock",
        {"item": "/*", "expires": 2000000000, "user": "u", "dn": "/CN=u", "sites": ["S"]},
    ),
    ("deletion_locks.listed", {"user": "u", "lock_id": 1, "with_expired": True}),
    ("injections.add", {"commands": [["update", {"class": "Site", "name": "S"}]]}),
    ("cycles.begin", {"token": "t", "operation": "detox", "partition": "p", "policy": "x", "sites": [{}]}),
    ("cycles.decisions", {"cycle": 1, "site": "S", "after": 0, "limit": 5}),
    ("files.subscribe", {"site": "S", "files": [["/f", "/a#b", 5]]}),
    ("files.history", {"is_deletion": False, "since": 0, "until": 5, "limit": 1}),
)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_w5_questions_to_the_registry_are_answered_or_refused(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dice = random.Random(10)
    config = MasterConfig(path=str(tmp_path / "server.db"))
    tries = MUTATIONS
    if kind == "mariadb":
        config = MasterConfig(db_params=request.getfixturevalue("mariadb").create("hostile"))
        tries = max(100, MUTATIONS // 10)
    database = open_master(config)
    desk = Desk(database)
    for _ in range(tries):
        name, args = dice.choice(QUESTIONS)
        try:
            changed = json.loads(mutated(dice, json.dumps(args).encode()))
        except (ValueError, RecursionError):
            changed = {
                **args,
                dice.choice(list(args)): dice.choice((10**30, -1, "\0", "\ud800", [], {}, None, 1e308)),
            }
        try:
            json.dumps(desk.answer(name, changed if isinstance(changed, dict) else {}, may_change=True))
        except DynamoError:
            continue
    assert desk.answer("requests.find", {"kind": "copy"}, may_change=False) is not None
    database.close()
    if kind == "mariadb":
        request.getfixturevalue("mariadb").drop("hostile")


async def test_w5_frames_of_clients() -> None:
    dice = random.Random(8)
    good = frame({"command": "submit", "title": "t", "args": "", "auth_level": 1, "exec": "print(1)"})
    for _ in range(MUTATIONS):
        reader = asyncio.StreamReader()
        reader.feed_data(mutated(dice, good))
        reader.feed_eof()
        try:
            await read_frame(reader, 5)
        except OperationalError:
            continue


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    single = SingleServer(folder)
    single.start()
    try:
        yield single
    finally:
        single.stop()


def test_w5_a_server_outlives_requests_that_were_changed(server: SingleServer) -> None:
    dice = random.Random(9)
    context = ssl.create_default_context(cafile=str(server.ca))
    context.load_cert_chain(server.certificates["admin"])
    tree = {
        "site": [{"name": "S", "host": "h"}],
        "dataset": [{"name": "/D", "blocks": [{"name": "b", "files": []}]}],
    }
    with urllib3.PoolManager(ssl_context=context, retries=False, timeout=60) as pool:
        base = f"https://localhost:{server.ports['https']}/data/inventory"
        for number in range(max(20, MUTATIONS // 25)):
            body = mutated(dice, json.dumps(tree).encode())
            path = (
                "injectsync"
                if number % 2
                else "stats/size?list_by=" + dice.choice(("site", "%00", "((((", "group"))
            )
            headers = {"Content-Type": "application/json"}
            answer = pool.request("POST", f"{base}/{path}", body=body, headers=headers)
            assert answer.status in (200, 400), answer.data
        assert pool.request("GET", f"{base}/sites").status == 200
    server.inventory()


def test_a_program_that_dies_while_it_sends_changes_nothing(server: SingleServer) -> None:
    path = server.script(
        "import os\nfrom dynamo.core import executable\nfrom dynamo.core.applications import child\n"
        "from dynamo.dataformat import Site\n"
        "for number in range(3000):\n    executable.inventory.update(Site(f'K{number}'))\n"
        "frames = child.batch_frames\n"
        "def dying(commands, notes):\n"
        "    for number, frame in enumerate(frames(commands, notes)):\n"
        "        if number == 1500:\n            os.kill(os.getpid(), 9)\n"
        "        yield frame\n"
        "child.batch_frames = dying\n",
        "dying.py",
    )
    server.run("exec_auth", "-x", path, "-t", "dying")
    done = server.dynamo("-W", "-t", "dying", path)
    assert done.returncode != 0
    assert "did not arrive completely" in done.stderr
    assert not any(name.startswith("K") for name in server.inventory().sites)
