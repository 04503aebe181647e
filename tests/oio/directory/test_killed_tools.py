"""F9: tools that are killed at every step. A rerun finishes, a majority has the base all the time, no file is left."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from oio.common.configuration import load_namespace_conf
from oio.common.exceptions import NotFound, OioException
from oio.naming import cid_of
from tests.oio.directory.on_services import ACCOUNT, Package, package
from tests.oio.service.cluster import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
FAR = 1_000_000
DONE_BEFORE = "Source service isn't used"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    folder = tmp_path_factory.mktemp("killed")
    with package(folder) as found, pytest.MonkeyPatch.context() as patch:
        found.cluster.deployment.write_namespace_file(folder / ".oio" / "sds.conf")
        patch.setenv("HOME", str(folder))
        patch.setenv("OIO_NS", "OPENIO")
        patch.setenv("OIO_ACCOUNT", ACCOUNT)
        load_namespace_conf("OPENIO", fresh=True)
        for base in "0123456789ABCDEF":
            found.directory.create(ACCOUNT, reference_in(base), properties={"base": base})
        yield found


def reference_in(base: str) -> str:
    """Name of a reference whose meta1 base is this one."""
    return next(name for n in itertools.count() if cid_of(ACCOUNT, name := f"in-{base}-{n}")[0] == base)


def tool(step: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool that dies at a step; killed, or ended by itself."""
    program = [sys.executable, "-m", "tests.oio.directory.dying_tool", str(step), *command]
    return subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)


def rerun(*command: str) -> None:
    """Run the tool until it succeeds, or has nothing to do any more."""

    def done() -> bool:
        ended = tool(FAR, *command)
        return ended.returncode == 0 or DONE_BEFORE in ended.stdout + ended.stderr

    eventually(done)


def holders(live: Package, kind: str, file: str) -> list[str]:
    """Addresses of the services on whose volumes the file lies."""
    return sorted(live.address(f"{kind}-{n}") for n in range(1, 5) if file in live.files(f"{kind}-{n}", kind))


def linked(live: Package, name: str) -> list[str]:
    found = live.directory.list(ACCOUNT, name, service_type="meta2", request_attempts=6)
    return sorted(row["host"] for row in found["srv"])


def meta1_peers(live: Package, base: str) -> list[str]:
    return sorted(service["addr"] for service in live.mapping().services_by_base[base])


def has_majority(here: list[str], wanted: list[str]) -> bool:
    return len(set(here) & set(wanted)) > len(wanted) // 2


def test_f9_a_move_killed_at_every_step_is_finished_by_a_rerun(live: Package) -> None:
    for step in itertools.count(1):
        name = f"moved-{step}"
        live.write(name, str(step))
        live.settled([name])
        cid = live.directory.list(ACCOUNT, name)["cid"]
        source, file = linked(live, name)[0], f"{cid}.1.meta2"
        command = ("openio-admin", "container", "move", cid, "--src", source)
        ended = tool(step, *command)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        assert has_majority(holders(live, "meta2", file), linked(live, name)), f"step {step}"
        rerun(*command)
        eventually(
            lambda cid=cid: tool(FAR, "openio-admin", "container", "check", cid, "--fix").returncode == 0
        )  # type: ignore[misc]
        assert source not in linked(live, name)
        assert len(linked(live, name)) == 3
        assert holders(live, "meta2", file) == linked(live, name)
        live.check()
        if ended.returncode == 0:
            break
    assert step > 8, "the tool has more steps than this"


def test_f9_a_rebuild_killed_at_every_step_is_finished_by_a_rerun(live: Package) -> None:
    for step in itertools.count(1):
        name = f"rebuilt-{step}"
        live.write(name, str(step))
        live.settled([name])
        cid = live.directory.list(ACCOUNT, name)["cid"]
        file, peers = f"{cid}.1.meta2", linked(live, name)
        where = {"service_type": "meta2", "account": ACCOUNT, "reference": name}
        live.admin.remove_base(service_id=peers[step % 3], **where)
        ended = tool(step, "openio-admin", "container", "repair", cid)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        assert has_majority(holders(live, "meta2", file), linked(live, name)), f"step {step}"
        rerun("openio-admin", "container", "repair", cid)
        eventually(
            lambda cid=cid: tool(FAR, "openio-admin", "container", "check", cid, "--fix").returncode == 0
        )  # type: ignore[misc]
        assert holders(live, "meta2", file) == linked(live, name) == peers
        live.check()
        if ended.returncode == 0:
            break
    assert step > 3, "the tool has more steps than this"


@pytest.mark.parametrize("journalled", [True, False])
def test_f9_a_mapping_applied_and_killed_at_every_step_is_finished_by_a_rerun(
    live: Package, journalled: bool
) -> None:
    for step in itertools.count(1):
        base = f"{step % 16:X}"
        name, file = reference_in(base), f"{base}000.meta1"
        before = meta1_peers(live, base)
        source = before[step % 3]
        command = (
            ("openio", "directory", "decommission", source, base) if journalled else ("apply", source, base)
        )
        ended = tool(step, *command)
        assert ended.returncode in (0, 1, -signal.SIGKILL), ended.stderr
        assert has_majority(holders(live, "meta1", file), meta1_peers(live, base)), f"step {step}"
        rerun(*command)
        consistent(live, name, base)
        assert source not in meta1_peers(live, base)
        if ended.returncode == 0:
            break
    assert step > 8, "the tool has more steps than this"


def test_f9_a_rebalance_killed_at_every_step_is_finished_by_a_rerun(live: Package) -> None:
    for step in itertools.count(1):
        source = live.address(f"meta1-{1 + step % 4}")
        mapping = live.mapping()
        chosen = sorted(mapping.services[source]["bases"])[:1]
        mapping.apply(mapping.decommission(source, chosen), request_attempts=6)
        before = live.mapping().count_pfx_by_svc()
        ended = tool(step, "openio", "directory", "rebalance")
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        for base in chosen:
            here = holders(live, "meta1", f"{base}000.meta1")
            assert has_majority(here, meta1_peers(live, base)), f"step {step}"
        rerun("openio", "directory", "rebalance")
        rerun("openio", "directory", "rebalance")
        after = live.mapping().count_pfx_by_svc()
        assert max(before.values()) - min(before.values()) > max(after.values()) - min(after.values())
        for base in disagreeing(live) or chosen:
            consistent(live, reference_in(base), base)
        assert disagreeing(live) == []
        if ended.returncode == 0:
            break
    assert step > 8, "the tool has more steps than this"


def disagreeing(live: Package) -> list[str]:
    """Bases that are not, or not only, where the directory says."""
    mapping = live.mapping()
    wanted = {base: sorted(one["addr"] for one in found) for base, found in mapping.services_by_base.items()}
    return [base for base, peers in wanted.items() if holders(live, "meta1", f"{base}000.meta1") != peers]


def consistent(live: Package, name: str, base: str) -> None:
    """The base is where the directory says, with three copies, after a repair, and shows what was written."""
    file = f"{base}000.meta1"

    def agrees() -> bool:
        peers = meta1_peers(live, base)
        return len(peers) == 3 and holders(live, "meta1", file) == peers

    if not agrees():
        eventually(lambda: tool(FAR, "openio-admin", "directory", "check", name, "--fix").returncode == 0)
    eventually(agrees)

    def shows() -> bool:
        try:
            found = live.directory.get_properties(ACCOUNT, name, request_attempts=6)
        except NotFound:
            raise
        except OioException:
            return False
        return bool(found["properties"] == {"base": base})

    eventually(shows)


def test_f9_orphans_are_listed_and_deleted(live: Package) -> None:
    live.write("orphaned", "x")
    live.settled(["orphaned"])
    service = linked(live, "orphaned")[0]
    name = next(n for n in range(1, 5) if live.address(f"meta2-{n}") == service)
    cid = live.directory.list(ACCOUNT, "orphaned")["cid"]
    check = ("openio-admin", "meta2", "check", service, "--orphans")
    assert tool(FAR, *check).returncode == 0
    live.directory.unlink(ACCOUNT, "orphaned", "meta2")
    found = tool(FAR, *check)
    assert found.returncode == 1
    assert cid in found.stdout
    assert f"{cid}.1.meta2" in live.files(f"meta2-{name}", "meta2")
    fixed = tool(FAR, *check, "--fix")
    assert fixed.returncode == 0, found.stdout + fixed.stdout + fixed.stderr
    assert f"{cid}.1.meta2" not in live.files(f"meta2-{name}", "meta2")
    assert tool(FAR, *check).returncode == 0
    del live.written["orphaned"]
