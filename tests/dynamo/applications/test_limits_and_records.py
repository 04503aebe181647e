"""How long programs may take, how long they are remembered, and what is written down of them."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.applications import job
from dynamo.core.applications.batch import BatchReader, batch_frames
from dynamo.core.inventory import BatchRefused, ObjectRepository
from dynamo.dataformat import Site

from tests.dynamo.single_server import SingleServer, wait_for

DAY_S = 86400


def _poll(server: SingleServer, number: int) -> dict[str, Any]:
    return dict(json.loads(server.dynamo("-p", str(number), "--json").stdout))


def test_a_program_that_takes_too_long_is_killed_and_its_changes_are_dropped(tmp_path: Path) -> None:
    server = SingleServer(tmp_path, applications_config={"timeout": 1})
    server.start()
    try:
        path = server.script(
            "import time\nfrom dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
            "inventory.update(Site('LATE'))\ntime.sleep(600)\n",
            "slow.py",
        )
        assert server.run("exec_auth", "-x", path, "-t", "slow").returncode == 0
        done = server.dynamo("-W", "-t", "slow", path)
        assert "It ran longer than 1" in done.stderr
        assert done.returncode == 2
        row = json.loads(server.dynamo("-l", "--json").stdout.splitlines()[0])
        assert (row["title"], row["status"]) == ("slow", "killed")
        assert "LATE" not in server.inventory().sites
    finally:
        server.stop()


def test_old_records_and_work_areas_are_cleaned_away_and_others_stay(tmp_path: Path) -> None:
    server = SingleServer(tmp_path)
    server.start()
    try:
        path = server.script("print('hello')\n")
        rows = []
        for _ in range(3):
            assert server.dynamo(path).returncode == 0
            rows.append(json.loads(server.dynamo("-l", "--json").stdout.splitlines()[0]))
        old, foreign, new = rows
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        server.stop()
        with sqlite3.connect(tmp_path / "server.db") as database:
            forget = "UPDATE applications SET timestamp = timestamp - ? WHERE id = ?"
            for row in (old, foreign):
                database.execute(forget, (8 * DAY_S, row["appid"]))
            # A work area that the client has chosen is its own.
            database.execute(
                "UPDATE applications SET path = ? WHERE id = ?", (str(elsewhere), foreign["appid"])
            )
        server.start()
        wait_for(lambda: not Path(old["path"]).exists(), "Removal of an old work area")
        for row in (old, foreign):
            asked = server.dynamo("-p", str(row["appid"]))
            assert asked.stderr == f"[failed] Unknown appid {row['appid']}\n"
        assert _poll(server, new["appid"])["status"] == "done"
        assert (Path(new["path"]).exists(), elsewhere.exists()) == (True, True)
    finally:
        server.stop()


def test_w13_a_program_that_falls_silent_while_it_sends_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "SILENCE_S", 0.1)
    inventory = ObjectRepository()
    for name in ("A", "B"):
        inventory.update(Site(name))
    first, *_ = batch_frames(inventory.commands)
    taking, sending = socket.socketpair()
    taking.setblocking(False)
    reader = BatchReader()

    async def take() -> None:
        async with asyncio.timeout(60):
            await job.Job._take(None, taking, reader)  # type: ignore[arg-type]  # nothing else of it is used

    with taking, sending:
        writer = threading.Thread(target=sending.sendall, args=(first,))
        writer.start()
        with pytest.raises(BatchRefused, match=r"It was silent for 0\.1 s in the middle of its changes"):
            asyncio.run(take())
        writer.join(60)
    assert reader.is_sending
    assert not reader.is_complete


def test_changed_objects_have_a_log_of_their_own(server: SingleServer) -> None:
    path = server.script(
        "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Group, Site\n"
        "inventory.update(Site('NOTED', 'h'))\ninventory.update(Group('brief'))\n"
        "inventory.delete(Group('brief'))\n",
        "noted.py",
    )
    assert server.run("exec_auth", "-x", path, "-t", "noted").returncode == 0
    assert server.dynamo("-W", "-t", "noted", path).returncode == 0
    lines = [line for line in (server.folder / "log" / "updates.log").read_text().splitlines() if line]
    texts = [line.split(": ", 1)[-1].split(" ", 1)[-1] for line in lines[-3:]]
    assert texts[0].startswith("update Site('NOTED','h','disk','','unknown',{},None,")
    assert [text.split("(")[0] for text in texts[1:]] == ["update Group", "delete Group"]
