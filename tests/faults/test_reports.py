"""What users reported of engine, network and storage, by the number of the case.

Where the behaviour is about kernel objects or a real guest, the test stands with its driver; `ELSEWHERE` names it, and
it is checked that it is there.  What needs a type that does not exist yet is skipped, naming it.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridtypes import ContractId, WorkloadId, WorkloadType
from provisioners.protocol import WorkloadError
from tests.faults.workloads import zdb
from tests.shared import PROJECT, report_count
from tests.zosd.memory_chain import FastClock, MemoryChain, beside, follower
from tests.zosd.parts import NODE, TWIN, FakeChain, daemon, deployment, full, machine, network, raw, zmount
from tfchain import Identity
from zosd.accept.refusal import Refusal
from zosd.api.deployments import Deployments
from zosd.api.gpu import taken_gpus
from zosd.chainlife.reports import Uptime
from zosd.clock import SystemClock
from zosd.journal.records import Key
from zosd.measures import Measures
from zosd.watchdog import Watchdog

CANCELLED = "contract canceled event received"

ELSEWHERE = {
    "B058": "tests/host/network/test_life.py::test_a_second_run_changes_nothing_and_delete_leaves_nothing",
    "B060": "tests/host/network/test_node_wiring.py::test_npub6_has_the_predicted_address_while_forwarding",
    "B061": "tests/host/network/test_public_address.py::"
    "test_an_address_that_another_device_answers_for_is_refused_with_its_mac",
    "B067": "tests/host/network/test_node_wiring.py::test_mtu_of_the_uplink_reaches_bridges_tunnels_and_guests",
    "B068": "tests/host/network/test_two_nodes.py::test_a_guest_reaches_the_outside_and_the_lan_is_closed",
    "B071": "tests/provisioners/storage/test_blank_disk.py::test_which_disks_are_blank_and_why_not",
    "B072": "tests/provisioners/storage/test_disk_class.py::test_the_recorded_boots",
    "B074": "tests/host/storage/test_pools.py::"
    "test_a_damaged_pool_is_named_left_alone_and_the_others_are_used",
    "B078": "tests/provisioners/storage/test_command.py::test_a_failure_ends_with_the_programs_last_lines",
    "B079": "tests/provisioners/images/test_store.py::test_a_cache_that_vanished_is_made_again",
    "B087": "tests/host/storage/test_unpack.py::test_owners_modes_links_and_capabilities_are_kept",
    "B010": "tests/host/storage/test_zmount.py::test_the_reported_growing_and_shrinking",
    "B063": "tests/provisioners/network/test_spec.py::test_a_peer_without_endpoint_is_configured_without_one",
    "B008": "tests/zosd/test_accept_rules.py::test_mounts_that_collide",
    "B039": "tests/zosd/test_watchdog.py::test_an_endpoint_that_is_behind_makes_a_deployment_wait",
}
DECIDED_ELSEWHERE = {
    "52": "tests/provisioners/storage/test_command.py::test_a_failure_ends_with_the_programs_last_lines",
    "53": "tests/client/test_grid_client.py",
    "54": "tests/client/test_undo.py",
    "55": "tests/client/test_zos_extras.py::test_any_node_goes_on_to_the_next_when_one_has_no_room",
    "59": ELSEWHERE["B061"],
    "60": ELSEWHERE["B067"],
    "61": "tests/rmb",
    "63": "tests/host/zmachine/test_life.py::test_a_machine_of_another_version_is_left_running",
    "64": ELSEWHERE["B072"],
}


@pytest.mark.parametrize("number", sorted(ELSEWHERE))
def test_a_report_about_drivers_has_its_test(number: str) -> None:
    _is_there(ELSEWHERE[number])
    report_count("reports tested with their drivers", 1)


@pytest.mark.parametrize("number", sorted(DECIDED_ELSEWHERE))
def test_a_decision_about_others_has_its_test(number: str) -> None:
    _is_there(DECIDED_ELSEWHERE[number])


def _is_there(place: str) -> None:
    file, _, name = place.partition("::")
    path = PROJECT / file
    assert path.exists(), f"{file} is gone: {place}"
    if name:
        tree = ast.parse(path.read_text())
        names = {
            one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in names, f"{place} is gone; the nearest names are {sorted(names)[:40]}"


@pytest.mark.parametrize(
    ("number", "package"),
    [
        ("B066, a certificate that cannot be had", "provisioners.gateway"),
        ("decision 62, a disk that was imaged for a full machine", "provisioners.zmachine.full"),
    ],
)
def test_a_report_about_a_type_that_is_not_there_yet(number: str, package: str) -> None:
    """When the type comes this fails until its own test stands in ELSEWHERE."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{number}: needs {package}")
    known = {*ELSEWHERE, *(f"decision {row}" for row in DECIDED_ELSEWHERE)}
    assert number.partition(",")[0] in known


# -- engine --------------------------------------------------------------------------------------------------------


async def test_B043_a_job_that_nobody_works_on_is_seen_and_begun_anew(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.acceptor._accepted = lambda key: None
        key = await node.deploy_with_contract(deployment(zmount("d")))
        clock = SystemClock()
        clock.time = lambda: SystemClock().time() + 3600  # type: ignore[method-assign]
        watchdog = Watchdog(node.journal, node.engine, clock, 30, 1800)
        assert watchdog.oldest() >= 3600
        watchdog.look()
        await node.settled()
        assert node.states(key) == {"d": "ok"}


async def test_B044_a_removal_that_hangs_stops_nobody_else(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        gate = node.scripts[WorkloadType.ZMOUNT].gates["deprovision"] = asyncio.Event()
        stuck = await node.deploy_with_contract(deployment(zmount("d"), contract=1))
        await node.settled()
        await node.orders.leave(stuck, CANCELLED)
        other = await node.deploy_with_contract(deployment(zmount("d"), contract=2))
        await node.until(lambda: node.states(other) == {"d": "ok"})
        gate.set()
        await node.until(lambda: node.journal.ledger.get(stuck) is None)


async def test_B046_a_cancelled_contract_goes_at_the_event_or_at_the_comparison(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        watcher = follower(node, chain)
        for contract in (1, 2):
            await node.deploy_with_contract(deployment(zmount("d"), contract=contract))
        await node.settled()
        async with beside(lambda: watcher.follow(NODE)):
            chain.happen("NodeContractCanceled", 1)
            await node.until(lambda: len(node.journal.ledger) == 1)
        watcher._clock.time = lambda: SystemClock().time() + 3600  # type: ignore[method-assign]
        await watcher.compare(NODE)  # the event of 2 was missed
        await node.until(lambda: len(node.journal.ledger) == 0)


async def test_B048_a_machine_that_dies_stays_visible_with_its_error(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        node.scripts[WorkloadType.ZMACHINE].fail["provision"] = WorkloadError("kernel panic")
        await node.engine.fallen(WorkloadId.parse(f"{key}-vm1"), "the guest stopped: kernel panic")
        await node.until(lambda: ("provision", "vm1") in node.scripts[WorkloadType.ZMACHINE].calls)
        api = Deployments(node.journal, node.acceptor, node.engine, SystemClock(), Measures())
        record = node.journal.ledger.get(key)
        assert record is not None
        vm = next(one for one in record.workloads if one.name == "vm1")
        shown = api._workload(vm).result
        assert (shown.state.value, "kernel panic" in shown.message) == ("error", True)
        assert "failed" in shown.message
        node.scripts[WorkloadType.ZMACHINE].fail.clear()
        await node.settled()
        assert node.states(key)["vm1"] == "ok"


async def test_B049_everything_comes_back_in_order_after_a_power_cut(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
    shutil.rmtree(tmp_path / "run")
    async with daemon(tmp_path, chain, start=False) as node:
        node.scripts[WorkloadType.NETWORK].fail["provision"] = WorkloadError("the uplink is not up yet")
        await node.engine.start()
        await node.until(lambda: node.message(key, "vm1").startswith("needs 'net1', which failed"))
        assert not any(call[0] == "provision" for call in node.scripts[WorkloadType.ZMACHINE].calls)
        node.scripts[WorkloadType.NETWORK].fail.clear()
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}


async def test_B050_and_decision_51_the_reason_of_the_other_stands_in_brackets(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.scripts[WorkloadType.NETWORK].fail["provision"] = WorkloadError("no free lease")
        key = await node.deploy_with_contract(full())
        await node.until(lambda: node.states(key)["vm1"] == "error")
        assert node.message(key, "vm1") == "needs 'net1', which failed (net1: no free lease)"


async def test_B053_and_decision_58_a_skipped_report_is_made_up_within_a_minute() -> None:
    chain, clock = MemoryChain(away=3), FastClock()
    async with beside(Uptime(chain, Identity.generate(), clock, 2400, 30).run):  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not chain.calls or len(clock.sleeps) < 4:
                await asyncio.sleep(0.002)
    assert clock.sleeps[:4] == [30, 30, 30, 2400]


async def test_B054_a_card_is_free_with_its_deployment(tmp_path: Path) -> None:
    data = (
        '{"flist":"https://x.example/a","network":{"public_ip":"","planetary":false,"interfaces":'
        '[{"network":"net1","ip":"10.1.2.5"}]},"size":0,"compute_capacity":{"cpu":1,"memory":1073741824},'
        '"mounts":[],"entrypoint":"","env":{},"gpu":["0000:28:00.0/1002/731f"]}'
    )
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(deployment(network(), raw("vm1", WorkloadType.ZMACHINE, data)))
        await node.settled()
        assert list(taken_gpus(node.journal.ledger).values()) == [key.contract]
        await node.orders.leave(key, CANCELLED)
        await node.until(lambda: len(node.journal.ledger) == 0)
        assert taken_gpus(node.journal.ledger) == {}


async def test_B055_and_decision_57_a_job_for_nothing_ends_once_with_one_line(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        with capture_logs() as lines:
            for _ in range(3):
                node.engine.wake(Key(TWIN, ContractId(4242)))
            await node.orders.leave(Key(TWIN, ContractId(4242)), CANCELLED)
            await node.until(lambda: node.engine.workers == 0)
        assert [line["event"] for line in lines] == ["contract ended, nothing of it is here"]


async def test_decision_56_an_update_without_work_shows_the_new_version(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(deployment(zmount("d"), network()))
        await node.settled()
        new = deployment(zmount("d", version=1), network(), version=1)
        node.chain.sign_up(new)
        await node.update(new)
        await node.settled()
        shown = [one for one in await node.journal.history(key) if one.name == "d"]
        assert (shown[-1].version, shown[-1].result.state.value) == (1, "ok")


# -- storage -------------------------------------------------------------------------------------------------------


async def test_B075_room_is_looked_at_before_anything_is_accepted(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.node.free_ssd = 3 << 30
        wanted = deployment(zmount("a", 2 << 30), zmount("b", 2 << 30))
        node.chain.sign_up(wanted)
        with pytest.raises(Refusal, match="not enough space left in pools of this type ssd"):
            await node.deploy(wanted)
        assert len(node.journal.ledger) == 0


async def test_B077_a_namespace_and_its_files_go_with_the_contract(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        mine = await node.deploy_with_contract(deployment(zdb("db"), contract=1))
        other = await node.deploy_with_contract(deployment(zdb("db"), contract=2))
        await node.settled()
        await node.orders.leave(mine, CANCELLED)
        await node.until(lambda: node.journal.ledger.get(mine) is None)
        left = [path.stem for path in (tmp_path / "run" / "null" / "zdb").glob("*.json")]
        assert left == [f"{other}-db"]


async def test_B049_a_machine_in_grace_does_not_run_again_by_a_reboot(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await node.deploy_with_contract(deployment(machine("vm1"), network()))
        await node.settled()
        await node.orders.pause(key, True)
        await node.settled()
    shutil.rmtree(tmp_path / "run")
    async with daemon(tmp_path, chain) as node:
        await node.engine.adopted.wait()
        await node.settled()
        assert not list((tmp_path / "run" / "null" / "zmachine").glob("*.json"))
