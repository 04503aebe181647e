"""`openio` and `openio-admin` against real services: what is shown, and the exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.oio.directory.on_services import ACCOUNT, Package
from tests.oio.directory.services_in_memory import by_base
from tests.oio.lease_stores import in_a_file
from tests.oio.service.cluster import eventually

Run = Callable[..., tuple[int, str, str]]


def rows(answer: tuple[int, str, str]) -> Any:
    status, out, err = answer
    assert status == 0, err
    return json.loads(out)


def test_references(live: Package, cli: Run) -> None:
    assert rows(cli("openio", "reference", "create", "one", "two", "-f", "json")) == [
        {"Name": "one", "Created": True},
        {"Name": "two", "Created": True},
    ]
    assert cli("openio", "reference", "set", "one", "--property", "a=1", "--property", "b=2")[0] == 0
    assert cli("openio", "reference", "unset", "one", "--property", "a")[0] == 0
    shown = rows(cli("openio", "reference", "show", "one", "-f", "json"))
    assert (shown["account"], shown["name"], shown["meta.b"]) == (ACCOUNT, "one", "2")
    assert "meta.a" not in shown
    assert cli("openio", "reference", "link", "one", "meta2")[0] == 0
    listed = rows(cli("openio", "reference", "list", "one", "-f", "json"))
    assert [(one["Type"], one["Seq"]) for one in listed] == [("meta2", 1)] * 3
    by_cid = cli("openio", "reference", "list", "--cid", shown["base_name"], "-f", "value", "-c", "Host")
    assert sorted(by_cid[1].split()) == sorted(one["Host"] for one in listed)
    status, _, err = cli("openio", "reference", "delete", "one")
    assert status == 1
    assert "User still linked to services" in err
    hosts = ",".join(one["Host"] for one in listed[:2])
    status, _, err = cli("openio", "reference", "force", "one", hosts, "meta2")
    assert status == 1
    assert "--replace" in err
    assert cli("openio", "reference", "force", "one", hosts, "meta2", "--replace")[0] == 0
    assert len(rows(cli("openio", "reference", "list", "one", "-f", "json"))) == 2
    located = rows(cli("openio", "reference", "locate", "one", "-f", "json"))
    assert len(located) == 4 + 3 + 2
    assert cli("openio", "reference", "poll", "one", "rdir")[0] == 0
    for kind in ("meta2", "rdir"):
        assert cli("openio", "reference", "unlink", "one", kind)[0] == 0
    assert cli("openio", "reference", "set", "one", "--clear")[0] == 0
    assert cli("openio", "reference", "delete", "one", "two")[0] == 0
    status, _, err = cli("openio", "reference", "show", "one")
    assert status == 1
    assert "no such user" in err


def test_what_cannot_be_is_said_and_ends_with_status_1(cli: Run) -> None:
    for arguments, text in (
        (("--ns", "", "cluster", "show"), "give --ns NAME"),
        (("--account", "", "reference", "list", "x"), "give --account NAME"),
        (("reference", "set", "x", "--property", "nonsense"), "name=value is expected"),
        (("reference", "set", "x"), "nothing to set"),
        (("cluster", "list", "-c", "Nope"), "no column 'Nope'"),
        (("cluster", "list", "-f", "xml"), "xml"),
        (("nonsense",), "nonsense"),
        (("directory", "decommission", "127.0.0.1:1"), "no meta1 service"),
        (("directory", "rebalance", "--workers", "100"), "less than or equal to 64"),
        (("zk", "armageddon"), "--I-know-what-I-am-doing"),
        (("election", "status", "meta2", "unknown-reference"), "no such user"),
    ):
        status, _, err = cli("openio", *arguments)
        assert status == 1, arguments
        assert text in err, (arguments, err)


def test_the_cluster(live: Package, cli: Run) -> None:
    listed = rows(cli("openio", "cluster", "list", "meta1", "-f", "json"))
    wanted = ["Type", "Addr", "Service Id", "Volume", "Location", "Slots", "Up", "Score", "Locked"]
    assert list(listed[0]) == wanted
    assert {one["Addr"] for one in listed} == {live.address(f"meta1-{n}") for n in range(1, 5)}
    everything = rows(cli("openio", "cluster", "list", "--tags", "--stats", "-f", "json"))
    assert list(everything[0]) == [*wanted, "Tags", "Stats"]
    assert rows(cli("openio", "cluster", "show", "-f", "json"))["namespace"] == "OPENIO"
    address = live.address("meta2-4")
    assert cli("openio", "cluster", "lock", "meta2", address, "-s", "7")[0] == 0
    locked = rows(cli("openio", "cluster", "list", "meta2", "--locked", "-f", "json"))
    assert [(one["Addr"], one["Score"]) for one in locked] == [(address, 7)]
    status, _, err = cli("openio", "cluster", "wait", "meta2", "-s", "8", "-d", "0")
    assert status == 1
    assert address in err
    assert cli("openio", "cluster", "unlock", "meta2", address)[0] == 0
    assert cli("openio", "cluster", "unlockall")[0] == 0
    assert cli("openio", "cluster", "wait", "meta2", "-n", "4", "-d", "60", "-u", "-f", "json")[0] == 0
    conf = rows(cli("openio", "cluster", "local", "conf", "-f", "json"))
    assert conf["proxy"] == live.address("proxy-1")
    assert cli("openio", "cluster", "local", "list")[0] == 0
    assert cli("openio", "cluster", "resolve", "meta2", address, "-f", "value")[1].strip() == address
    assert cli("openio", "cluster", "deregister", "rdir", "127.0.0.1:1")[0] == 0
    assert cli("openio", "cluster", "flush", "rdir")[0] == 0
    eventually(lambda: len(rows(cli("openio", "cluster", "list", "rdir", "-f", "json"))) == 4)


def test_elections(live: Package, cli: Run) -> None:
    live.write("elected", "x")
    for command in ("ping", "leave", "debug", "sync"):
        eventually(
            lambda command=command: cli("openio", "election", command, "meta2", "elected")[0] == 0  # type: ignore[misc]
        )
    eventually(lambda: cli("openio", "election", "status", "meta2", "elected")[0] == 0)
    shown = rows(cli("openio", "election", "status", "meta2", "elected", "-f", "json"))
    assert list(shown[0]) == ["Id", "Status", "Message"]
    assert sorted(one["Status"] for one in shown) == [200, 303, 303]
    told = rows(cli("openio", "election", "debug", "meta2", "elected", "--human", "-f", "json"))
    assert list(told[0]) == ["Id", "Status", "Message", "Body"]
    one = shown[0]["Id"]
    only = rows(cli("openio", "election", "status", "meta2", "elected", "--service-id", one, "-f", "json"))
    assert [row["Id"] for row in only] == [one]
    balanced = rows(cli("openio", "election", "balance", "meta1", "--max", "1", "-f", "json"))
    assert list(balanced[0]) == ["Id", "Status", "Count"]
    assert {row["Status"] for row in balanced} == {200}
    assert cli("openio", "election", "balance", "meta1", "--average")[0] == 0


@in_a_file
def test_without_zookeeper_there_is_nothing_to_look_at(live: Package, cli: Run) -> None:
    live.directory.create(ACCOUNT, "looked-at")
    for arguments in (("zk", "stat"), ("election", "check", "meta1", "looked-at")):
        status, _, err = cli("openio", *arguments)
        assert status == 1
        assert "keeps its leases in a file" in err


def test_the_mapping_is_shown_checked_and_restored(live: Package, cli: Run, tmp_path: Path) -> None:
    before = by_base(live.mapping())
    assert "assigned already" in cli("openio", "directory", "bootstrap")[2]
    assert cli("openio", "directory", "bootstrap", "--force", "--check")[0] == 0
    assert rows(cli("openio", "directory", "check", "-f", "json")) == []
    status, _, err = cli("openio", "directory", "check", "--replicas", "4")
    assert status == 1
    assert "16 of 16 bases" in err
    dumped = cli("openio", "directory", "dump")[1]
    assert len(json.loads(dumped)) == 65536
    part = {prefix: peers for prefix, peers in json.loads(dumped).items() if prefix[0] == "0"}
    (tmp_path / "dump").write_text(json.dumps(part))
    assert "--I-know-what-I-am-doing" in cli("openio", "directory", "restore", str(tmp_path / "dump"))[2]
    assert cli("openio", "directory", "restore", str(tmp_path / "dump"), "--I-know-what-I-am-doing")[0] == 0
    short = {prefix: peers[:2] for prefix, peers in part.items()}
    (tmp_path / "short").write_text(json.dumps(short))
    status, _, err = cli(
        "openio", "directory", "restore", str(tmp_path / "short"), "--I-know-what-I-am-doing"
    )
    assert status == 1
    assert "fewer than 3 replicas" in err
    assert by_base(live.mapping()) == before
    assert cli("openio", "directory", "warmup", "--concurrency", "4")[0] == 0


@pytest.mark.long
def test_a_decommission_is_shown_killed_and_finished_and_a_rebalance_undoes_it(
    live: Package, cli: Run
) -> None:
    for number in range(24):
        live.directory.create(ACCOUNT, f"moved-{number}", properties={"n": str(number)})
    source = live.address("meta1-2")
    before = by_base(live.mapping())
    plan = rows(cli("openio", "directory", "decommission", source, "--dry-run", "-f", "json"))
    assert len(plan) == 12
    assert {one["From"] for one in plan} == {source}
    assert by_base(live.mapping()) == before
    command = [sys.executable, "-m", "oio.cli.openio", "directory", "decommission", source]
    journal = Path.home() / ".oio" / "journal" / "OPENIO-directory.sqlite"
    for _ in range(2):
        with subprocess.Popen(
            [*command, "--workers", "1", "--rate", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            eventually(lambda: journal.exists() or process.poll() is not None)
            time.sleep(1.0)  # anywhere in the middle: the point of a kill must not matter
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    after = by_base(live.mapping())
    assert after == {
        base: sorted(
            next((one["To"] if key == one["From"] else key for one in plan if one["Base"] == base), key)
            for key in keys
        )
        for base, keys in before.items()
    }
    eventually(lambda: live.files("meta1-2", "meta1") == [])
    for number in range(24):
        found = live.directory.get_properties(ACCOUNT, f"moved-{number}")
        assert found["properties"] == {"n": str(number)}
    again = cli("openio", "directory", "decommission", source, "-f", "json")
    assert rows(again) == []
    moved = rows(cli("openio", "directory", "rebalance", "--workers", "8", "-f", "json"))
    assert {one["To"] for one in moved} == {source}
    assert rows(cli("openio", "directory", "rebalance", "--dry-run", "-f", "json")) == []


def test_indexes_are_assigned_and_a_meta2_is_emptied(live: Package, cli: Run) -> None:
    status, _, err = cli("openio-admin", "rdir", "check")
    assert status == 1
    assert "rdir reassign" in err
    assigned = rows(cli("openio-admin", "rdir", "bootstrap", "-f", "json"))
    assert {one["Note"] for one in assigned} == {"new"}
    assert len(assigned) == 4
    assert all(one["Rdir"] for one in assigned)
    assert cli("openio-admin", "rdir", "check")[0] == 0
    assert {one["Note"] for one in rows(cli("openio-admin", "rdir", "reassign", "-f", "json"))} == {""}
    for number in range(4):
        live.write(f"cli-{number}", str(number))
    live.index()
    source = live.address("meta2-3")
    held = rows(cli("openio-admin", "meta2", "list", "containers", source, "-f", "json"))
    assert cli("openio-admin", "meta2", "check", source)[0] == 0
    dry = rows(cli("openio-admin", "meta2", "decommission", source, "--dry-run", "-f", "json"))
    assert len(dry) == len(held) > 0
    done = rows(cli("openio-admin", "meta2", "decommission", source, "--per-second", "0", "-f", "json"))
    assert {one["Status"] for one in done} == {"OK"}
    assert live.files("meta2-3", "meta2") == []
    assert rows(cli("openio-admin", "meta2", "decommission", source, "-f", "json")) == []
    live.check()


def test_containers_are_located_checked_and_repaired(live: Package, cli: Run) -> None:
    live.write("repaired", "x")
    live.settled(["repaired"])
    where = {"service_type": "meta2", "account": ACCOUNT, "reference": "repaired"}
    eventually(lambda: len(live.admin.election_status(**where).get("slaves", ())) == 2)
    located = rows(cli("openio-admin", "container", "locate", "--name", "repaired", "-f", "json"))
    assert sorted(one["Election"] for one in located) == ["master", "slave", "slave"]
    eventually(lambda: cli("openio-admin", "container", "check", "--name", "repaired")[0] == 0)
    lost = next(one for one in located if one["Election"] == "slave")
    Path(lost["File"]).unlink()
    eventually(lambda: cli("openio-admin", "container", "repair", "--name", "repaired")[0] == 0)
    eventually(lambda: cli("openio-admin", "container", "check", "--name", "repaired")[0] == 0)
    assert cli("openio-admin", "container", "vacuum", "--name", "repaired")[0] == 0
    source = located[0]["Host"]
    moved = rows(
        cli("openio-admin", "container", "move", "--name", "repaired", "--src", source, "-f", "json")
    )
    assert moved[0]["Status"] == "OK"
    status, out, _ = cli(
        "openio-admin", "container", "move", "--name", "repaired", "--src", source, "-f", "json"
    )
    assert status == 1
    assert "Source service isn't used" in json.loads(out)[0]["Error"]
    live.check()


def test_services_and_proxies_are_administered(live: Package, cli: Run) -> None:
    proxy = live.address("proxy-1")
    assert cli("openio-admin", "oioproxy", "decache")[0] == 0
    found = rows(cli("openio-admin", "oioproxy", "get-config", "-f", "json"))
    assert {one["Id"] for one in found} == {proxy}
    value = "proxy.period.cs.downstream"
    assert cli("openio-admin", "oioproxy", "set-config", "-p", f"{value}=4")[0] == 0
    status, _, err = cli("openio-admin", "oioproxy", "set-config", "-p", "no.such.thing=4")
    assert status == 1
    assert "no.such.thing" in err
    for kind in ("meta0", "meta1", "meta2"):
        assert cli("openio-admin", kind, "decache")[0] == 0
        assert len(rows(cli("openio-admin", kind, "info", "-f", "json"))) > 4
        assert cli("openio-admin", kind, "get-config", live.address(f"{kind}-1"))[0] == 0
    assert cli("openio-admin", "meta2", "set-config", "-p", "sqliterepo.repo.hard_max=512")[0] == 0
    assert cli("openio-admin", "meta1", "check", live.address("meta1-1"))[0] == 0
    assert cli("openio-admin", "meta1", "rebuild", live.address("meta1-1"), "--per-second", "0")[0] == 0
    live.directory.create(ACCOUNT, "checked")
    eventually(lambda: cli("openio-admin", "directory", "check", "checked")[0] == 0)


def program(name: str, *arguments: str) -> list[str]:
    """The command line of a daemon's entry point."""
    code = f"import sys; from oio.cli.daemons import {name}; sys.argv[0] = 'oio-meta2-{name}'; {name}()"
    return [sys.executable, "-c", code, *arguments]


def test_the_indexer_runs_until_it_is_told_to_end(live: Package, tmp_path: Path) -> None:
    live.index()
    volumes = ", ".join(str(live.volume(f"meta2-{number}")) for number in range(1, 5))
    conf = tmp_path / "indexer.conf"
    conf.write_text(f"[meta2-indexer]\nnamespace = OPENIO\nvolume_list = {volumes}\ninterval = 1\n")
    with subprocess.Popen(program("indexer", str(conf), "-v"), start_new_session=True) as process:
        try:
            live.write("found", "x")
            peer = live.directory.list(ACCOUNT, "found")["srv"][0]["host"]
            name = f"OPENIO/{ACCOUNT}/found"
            eventually(
                lambda: name in {one["container_url"] for one in live.rdir.meta2_index_fetch_all(peer)}
            )
            process.send_signal(signal.SIGTERM)
            eventually(lambda: process.poll() is not None)
        finally:
            process.kill()
    conf.write_text("[meta2-indexer]\nnamespace = OPENIO\n")
    refused = subprocess.run(program("indexer", str(conf)), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "No meta2 volumes provided" in refused.stderr


def test_a_base_is_moved_and_rebuilt_by_programs(live: Package, tmp_path: Path) -> None:
    live.write("programs", "x")
    live.settled(["programs"])
    found = live.directory.list(ACCOUNT, "programs")
    peers = [one["host"] for one in found["srv"]]
    (other,) = {live.address(f"meta2-{number}") for number in range(1, 5)} - set(peers)
    moved = subprocess.run(
        program("mover", "OPENIO", found["cid"], peers[0], other), capture_output=True, text=True, timeout=120
    )
    assert moved.stdout == f"{found['cid']}.1 {peers[0]} {other} OK\n", moved.stderr
    again = subprocess.run(program("mover", "OPENIO", found["cid"], peers[0]), timeout=120, check=False)
    assert again.returncode == 1
    (tmp_path / "cids").write_text(found["cid"] + "\n")
    rebuilt = program("rebuilder", "OPENIO", "--input-file", str(tmp_path / "cids"))
    assert subprocess.run(rebuilt, timeout=120, check=False).returncode == 0
    (tmp_path / "cids").write_text("0" * 64 + "\n")
    assert subprocess.run(rebuilt, timeout=120, check=False).returncode == 1
    live.check()


def test_words_are_completed_for_the_shell() -> None:
    environment = {
        **os.environ,
        "_OPENIO_COMPLETE": "complete_bash",
        "COMP_WORDS": "openio ele",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", "from oio.cli.openio import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.split() == ["election"]
