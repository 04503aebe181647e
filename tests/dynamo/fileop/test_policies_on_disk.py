"""What policies decide happens to files in folders: copied for a request, deleted by Detox."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dynamo.exec
import pytest
from dynamo.client.webserver import WebServer

from tests.dynamo.fileop.test_rooted import make_root
from tests.dynamo.single_server import SingleServer, wait_for

PROGRAMS = Path(next(iter(dynamo.exec.__path__)))
FILL = """
from dynamo.core.executable import inventory
from dynamo.dataformat import *

inventory.update(Group("g"))
for name in ("S1", "S2"):
    inventory.update(Site(name, status="ready"))
    inventory.update(SitePartition(name, "Owned", 100))
for number, name in enumerate(["/Keep/1", "/Old/1"]):
    inventory.update(Dataset(name, "valid", last_update=number))
    inventory.update(Block("b", name, size=30, num_files=2))
    for file, size in (("f1", 10), ("f2", 20)):
        inventory.update(File(name + "/" + file, name + "#b", size))
    inventory.update(DatasetReplica(name, "S1", True, "g"))
    inventory.update(BlockReplica(name + "#b", "S1", "g"))
"""
LOOK = """
import json
from dynamo.core.executable import inventory, registry
from dynamo.dataformat import HistoryRecord
from dynamo.dataformat.request import Request, RequestAction

def records(operation, kind):
    found = [r for r in registry.history(operation, "Owned", limit=10) if r.operation_type == kind]
    return [[r.site_name, r.size, [replica.dataset_name for replica in r.replicas]] for r in found]

requests = registry.copy_requests(users=["guest"])
assert [list(request.find_items(inventory)) for request in requests] == [[inventory.datasets["/Old/1"]]]
print(json.dumps({
    "copied": records("dealer", HistoryRecord.OP_COPY),
    "deleted": records("detox", HistoryRecord.OP_DELETE),
    "requests": [
        [Request.status_name(r.status), r.user,
         [[a.item, a.site, RequestAction.status_name(a.status)] for a in r.actions]]
        for r in requests
    ],
    "deletion_requests": registry.deletion_requests(),
    "transfers": sorted([t.lfn, t.source, t.target, t.status] for t in registry.transfers(0)),
    "deletions": sorted([d.lfn, d.source, d.status] for d in registry.deletions(0)),
}))
"""
POLICY = """
Partition Owned
On site.name == S1
When site.occupancy > 0.5
Until site.occupancy < 0.4
Protect blockreplica.is_locked
Dismiss
Order increasing dataset.last_update
"""
DEALER = {
    "partition_name": "Owned",
    "group_name": "g",
    "max_site_pending_fraction": 1.0,
    "plugins": {"requests": {"module": "requests:CopyRequests"}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    folder = tmp_path_factory.mktemp("disk")
    sites = {name: str(make_root(folder, name)) for name in ("S1", "S2")}
    for name in ("Keep", "Old"):
        place = folder / "S1" / name / "1"
        place.mkdir(parents=True)
        (place / "f1").write_bytes(b"1" * 10)
        (place / "f2").write_bytes(b"2" * 20)
    single = SingleServer(folder, sites=sites)
    single.start()
    try:
        for title in ("detox", "dealer", "updater"):
            path = str(PROGRAMS / f"{title}.py")
            assert single.run("exec_auth", "-x", path, "-t", title).returncode == 0
        fill = single.script(FILL, "fill.py")
        single.run("exec_auth", "-x", fill, "-t", "fill")
        assert single.dynamo("-W", "-t", "fill", fill).returncode == 0
        yield single
    finally:
        single.stop()


def files(server: SingleServer, site: str) -> set[str]:
    root = server.folder / site
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {".dynamo-site"}


def run(server: SingleServer, title: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
    done = server.dynamo("-W", "-t", title, f"{PROGRAMS / title}.py {arguments}".strip())
    assert done.returncode == 0, done.stderr
    return done


def request(server: SingleServer, *arguments: str) -> dict[str, object]:
    certificate = str(server.certificates["guest"])
    where = f"localhost:{server.ports['https']}"
    options = ["-o", where, "-c", certificate, "--ca", str(server.ca), "--json"]
    done = server.command("dynamo.client.request", [*arguments, *options])
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["data"]
    assert isinstance(found, dict)
    return found


def test_a_request_brings_files_and_detox_takes_them_away(server: SingleServer) -> None:
    made = request(server, "-d", "/Old/1", "-s", "S2", "-g", "g")
    assert (made["request_id"], made["status"], made["user"]) == (1, "new", "guest")
    with tempfile.TemporaryDirectory(prefix="dynamo-policy-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        config, policy = Path(name) / "dealer.json", Path(name) / "policy.txt"
        config.write_text(json.dumps(DEALER))
        policy.write_text(POLICY)

        dealt = run(server, "dealer", f"-c {config}")
        assert "copy /Old/1 to S2 for g (requests)" in dealt.stdout
        assert "1 copies, 2 files will come." in dealt.stderr
        wait_for(lambda: files(server, "S2") == {"Old/1/f1", "Old/1/f2"}, "Arrival of the files")
        assert (server.folder / "S2" / "Old" / "1" / "f2").read_bytes() == b"2" * 20
        tell(server, 2)
        replica = server.inventory().datasets["/Old/1"].find_replica("S2")
        assert replica is not None
        assert replica.is_full()
        run(server, "dealer", f"-c {config}")
        assert request(server, "-l", "--id", "1")["status"] == "completed"

        where = f"localhost:{server.ports['https']}"
        web = WebServer(where, str(server.certificates["guest"]), None, str(server.ca))
        web.get("detox/lock/lock", [("item", "/Keep/*"), ("expires", "2099-01-01")])
        run(server, "detox", f"-p {policy}")
        (cycle,) = web.get("detox/cycles", [("partition", "Owned")])["data"]
        detail = web.get("detox/sitedetail", [("site", "S1"), ("cycle", str(cycle["cycle"]))])["data"]
        assert {row["dataset"]: row["decision"] for row in detail["datasets"]} == {
            "/Keep/1": "protect",
            "/Old/1": "delete",
        }
        wait_for(lambda: files(server, "S1") == {"Keep/1/f1", "Keep/1/f2"}, "Deletion of the files")
        tell(server, 2)
    looked = server.dynamo(server.script(LOOK, "look.py"))
    assert looked.returncode == 0, looked.stderr
    assert json.loads(looked.stdout) == {
        "copied": [["S2", 30, ["/Old/1"]]],
        "deleted": [["S1", 30, ["/Old/1"]]],
        "requests": [["completed", "guest", [["/Old/1", "S2", "completed"]]]],
        "deletion_requests": [],
        "transfers": [["/Old/1/f1", "S1", "S2", "done"], ["/Old/1/f2", "S1", "S2", "done"]],
        "deletions": [["/Old/1/f1", "S1", "done"], ["/Old/1/f2", "S1", "done"]],
    }
    inventory = server.inventory()
    assert [replica.site.name for replica in inventory.datasets["/Old/1"].replicas] == ["S2"]
    assert len(inventory.datasets["/Keep/1"].replicas) == 1
    assert files(server, "S2") == {"Old/1/f1", "Old/1/f2"}


def tell(server: SingleServer, wanted: int) -> None:
    """Run the updater until it has told the inventory of so many file operations."""
    told: list[int] = []

    def enough() -> bool:
        told.append(int(run(server, "updater").stdout.split(", ")[2].split()[0]))
        return sum(told) >= wanted

    wait_for(enough, "Results for the inventory")
    assert sum(told) == wanted


def test_what_a_program_notes_without_ending_well_is_not_done(server: SingleServer) -> None:
    failing = server.script(
        "from dynamo.core.executable import registry\n"
        "registry.note('files.subscribe', site='S1', files=[['/x', '/Keep/1#b', 1]])\n"
        "raise SystemExit(3)\n",
        "failing.py",
    )
    assert server.dynamo("-H", failing).returncode == 3
    asking = server.script(
        "from dynamo.core.executable import registry\n"
        "print([row['file'] for row in registry.ask('files.current')])\n"
        "try:\n    registry.ask('files.release_held')\nexcept Exception as error:\n    print(error)\n"
        "try:\n    registry.ask('files.current', limit='many')\nexcept Exception as error:\n    print(error)\n",
        "asking.py",
    )
    done = server.dynamo(asking)
    assert done.returncode == 0, done.stderr
    first, refused, wrong = done.stdout.split("\n", 2)
    assert "/x" not in first
    assert refused == "files.release_held changes the registry; note it in a program that runs with -H or -W"
    assert "Arguments of files.current are wrong" in wrong
    unknown = server.script(
        "from dynamo.core.executable import registry\nregistry.note('no.such.thing')\n", "unknown.py"
    )
    done = server.dynamo("-H", unknown)
    assert done.returncode == 1
    assert "The registry does not know 'no.such.thing'" in done.stderr


def test_the_mover_runs_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text('{"roots": {}, "tasks": []}')
    subprocess.run([sys.executable, "-m", "dynamo.fileop.mover", str(tmp_path)], timeout=120, check=True)
    assert (tmp_path / "reports").read_text() == ""
