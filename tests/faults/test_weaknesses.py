"""The weaknesses of the existing engine, one test each, by the number that its specification gives them.

Those toward the chain (12 to 16) stand in `test_weaknesses_chain.py`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridtypes import (
    Capacity,
    ContractId,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    WorkloadId,
    WorkloadType,
)
from provisioners.protocol import WorkloadError
from tests.faults.workloads import every_type, light_network
from tests.zosd.parts import (
    TWIN,
    Daemon,
    FakeChain,
    Signer,
    daemon,
    deployment,
    full,
    machine,
    network,
    zmount,
)
from tfchain import Identity
from zosd.accept.contract import ContractState
from zosd.accept.kyc import Kyc
from zosd.accept.refusal import Refusal
from zosd.api.table import COMMANDS
from zosd.capacity import GIB, Ask, Booked, MachineFacts, shortage
from zosd.engine.order import INSTALL_ORDER
from zosd.journal.records import Key

CANCELLED = "contract canceled event received"


def grown(*, version: int = 1) -> object:
    """`full` with a larger disk."""
    return deployment(
        machine("vm1", "net1", {"disk1": "/data"}, public="ip1"),
        zmount("disk1", 2 << 30, version=version),
        network("net1"),
        full().workloads[3],
        version=version,
    )


async def running(node: Daemon) -> Key:
    key = await node.deploy_with_contract(full())
    await node.settled()
    for script in node.scripts.values():
        script.calls.clear()
    return key


def touched(node: Daemon) -> list[tuple[str, str]]:
    return [call for script in node.scripts.values() for call in script.calls if call[0] != "recover"]


async def test_weakness_01_a_refused_update_and_a_chain_that_is_away_touch_nothing_that_runs(
    tmp_path: Path,
) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await running(node)
        with pytest.raises(Refusal, match="contract hash does not match"):
            await node.update(grown())  # type: ignore[arg-type]
        chain.away = True
        await node.update(grown())  # type: ignore[arg-type]
        assert set(node.states(key).values()) == {"ok"}
        assert touched(node) == []
    async with daemon(tmp_path, chain) as node:
        await node.engine.adopted.wait()
        assert set(node.states(key).values()) == {"ok"}
        assert touched(node) == []


async def test_weakness_02_what_was_accepted_and_not_begun_is_done_after_a_restart(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.acceptor._accepted = lambda key: None  # the daemon dies before the engine hears of it
        key = await node.deploy_with_contract(full())
    async with daemon(tmp_path) as node:
        node.chain.sign_up(full())
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}


async def test_weakness_03_an_accepted_update_is_done_after_a_restart(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await running(node)
        node.acceptor._accepted = lambda key: None
        chain.sign_up(grown())  # type: ignore[arg-type]
        await node.update(grown())  # type: ignore[arg-type]
    async with daemon(tmp_path, chain) as node:
        await node.settled()
        record = node.journal.ledger.get(key)
        assert record is not None
        assert record.header.version == 1
        disk = next(one for one in record.workloads if one.name == "disk1")
        assert (disk.definition.version, disk.newer) == (1, None)


async def test_weakness_04_paused_workloads_stay_paused_over_a_reboot(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await running(node)
        await node.orders.pause(key, True)
        await node.settled()
    shutil.rmtree(tmp_path / "run")
    async with daemon(tmp_path, chain) as node:
        await node.engine.adopted.wait()
        await node.settled()
        assert node.states(key)["vm1"] == "paused"
        assert node.scripts[WorkloadType.ZMACHINE].calls in ([], [("recover", "vm1")])


async def test_weakness_05_owner_and_state_of_the_contract_are_checked(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        for change, words in (
            ({"twin": TwinId(27)}, "belongs to twin 27"),
            ({"state": ContractState.GRACE}, "is in its grace period"),
            ({"state": ContractState.ENDED}, "is cancelled"),
        ):
            node.chain.sign_up(full(), **change)
            with pytest.raises(Refusal, match=words):
                await node.deploy(full())
        assert len(node.journal.ledger) == 0


async def test_weakness_06_grace_and_end_in_the_middle_of_an_install_leave_nothing(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        gate = node.scripts[WorkloadType.NETWORK].gates["provision"] = asyncio.Event()
        key = await node.deploy_with_contract(full())
        await node.until(lambda: ("provision", "net1") in node.scripts[WorkloadType.NETWORK].calls)
        await node.orders.pause(key, True)
        await node.orders.pause(key, False)
        await node.orders.leave(key, CANCELLED)
        gate.set()
        await node.until(lambda: len(node.journal.ledger) == 0)
        assert list((tmp_path / "run" / "null").rglob("*.json")) == []


async def test_weakness_07_a_removal_that_fails_is_tried_until_it_is_done(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await running(node)
        disks = node.scripts[WorkloadType.ZMOUNT]
        disks.fail["deprovision"] = WorkloadError("the disk is busy")
        await node.orders.leave(key, CANCELLED)
        await node.until(lambda: disks.calls.count(("deprovision", "disk1")) >= 2)
        assert node.message(key, "disk1") == "the disk is busy"
    async with daemon(tmp_path, chain) as node:  # not forgotten by a restart either
        await node.until(lambda: len(node.journal.ledger) == 0)
        assert list((tmp_path / "run" / "null").rglob("*.json")) == []


async def test_weakness_08_the_name_of_a_network_is_free_again(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        first = deployment(network("lan"), contract=1)
        second = deployment(network("lan"), contract=2)
        key = await node.deploy_with_contract(first)
        await node.settled()
        node.chain.sign_up(second)
        with pytest.raises(Refusal, match="global workload with the same name 'lan' exists: conflict"):
            await node.deploy(second)
        await node.orders.leave(key, CANCELLED)
        await node.until(lambda: len(node.journal.ledger) == 0)
        await node.deploy(second)
        await node.settled()


async def test_weakness_09_what_the_node_finds_dead_is_told_to_the_chain(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await running(node)
        told: list[Key] = []
        node.engine._changed = told.append
        node.scripts[WorkloadType.ZMACHINE].fail["provision"] = WorkloadError("no")
        await node.engine.fallen(WorkloadId.parse(f"{key}-vm1"), "the guest stopped")
        assert key in told


async def test_weakness_10_a_slow_verification_of_people_delays_nobody_else(tmp_path: Path) -> None:
    class Slow:
        async def check(self, twin: TwinId) -> None:
            if twin == TWIN:
                await asyncio.Event().wait()

    slow: Kyc = Slow()
    async with daemon(tmp_path) as node:
        other = Signer(TwinId(27))
        node.chain.keys[TwinId(27)] = other.public_key
        node.acceptor._kyc = slow
        node.chain.sign_up(full())
        waits = asyncio.ensure_future(node.deploy(full()))
        key = await node.deploy_with_contract(deployment(zmount("d"), contract=2, signer=other))
        await node.settled()
        assert node.states(key) == {"d": "ok"}
        assert not waits.done()
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)


async def test_weakness_11_a_twin_counts_once_and_a_co_signer_is_not_dropped_alone(tmp_path: Path) -> None:
    friend = Signer(TwinId(27))

    def both(version: int, *requests: SignatureRequest, weight: int) -> object:
        plain = replace(
            deployment(zmount("d", (1 + version) << 30, version=version), version=version),
            signature_requirement=SignatureRequirement(requests=requests, weight_required=weight),
        )
        signed = plain.sign(TWIN, Signer())
        return signed.sign(TwinId(27), friend) if len(requests) > 1 else signed

    own, other = SignatureRequest(TWIN, required=False, weight=1), SignatureRequest(TwinId(27), True, 1)
    async with daemon(tmp_path) as node:
        node.chain.keys[TwinId(27)] = friend.public_key
        with pytest.raises(Refusal, match="stands more than once"):
            await node.deploy(both(0, own, own, weight=2))  # type: ignore[arg-type]
        await node.deploy_with_contract(both(0, own, other, weight=2))  # type: ignore[arg-type]
        await node.settled()
        alone = both(1, own, weight=1)
        node.chain.sign_up(alone)  # type: ignore[arg-type]
        with pytest.raises(Refusal, match=r"has to be signed by whoever had to sign .* twin 27 is missing"):
            await node.update(alone)  # type: ignore[arg-type]
        # He signs the version that does without him; the next one goes without his signature.
        let_go = both(1, own, replace(other, required=False, weight=0), weight=1)
        node.chain.sign_up(let_go)  # type: ignore[arg-type]
        await node.update(let_go)  # type: ignore[arg-type]
        await node.settled()
        free = both(2, own, weight=1)
        node.chain.sign_up(free)  # type: ignore[arg-type]
        await node.update(free)  # type: ignore[arg-type]
        await node.settled()


def test_weakness_17_a_key_that_cannot_be_read_stays_and_there_is_no_shell(tmp_path: Path) -> None:
    damaged = tmp_path / "key"
    damaged.write_text("neither seed nor words\n")
    damaged.chmod(0o600)
    with pytest.raises(ValueError, match="key"):
        Identity.load_or_generate(damaged)
    assert damaged.read_text() == "neither seed nor words\n"
    # What could read a file or run a program is not among the commands; `system_probe` has its own test.
    assert not {"logs.vm", "admin.shell", "admin.reboot"} & COMMANDS.keys()


async def test_weakness_18_what_the_hash_does_not_cover_cannot_be_slipped_in_later(tmp_path: Path) -> None:
    """`corex` is not in the hash: a second deploy with the same hash is a retry, and changes nothing."""

    def wanted(corex: str) -> object:
        data = (
            '{"flist":"https://x.example/a","network":{"public_ip":"","planetary":false,"interfaces":'
            '[{"network":"net1","ip":"10.1.2.5"}]},"size":0,"compute_capacity":{"cpu":1,"memory":1073741824},'
            f'"mounts":[],"entrypoint":"","env":{{}},"corex":{corex}}}'
        )
        vm = replace(machine("vm1"), data=data.encode())
        return deployment(network(), vm)

    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(wanted("false"))  # type: ignore[arg-type]
        await node.settled()
        await node.deploy(wanted("true"))  # type: ignore[arg-type]
        record = node.journal.ledger.get(key)
        assert record is not None
        assert b'"corex":false' in bytes(record.workloads[1].definition.data)


async def test_weakness_19_types_have_one_order_and_answers_are_in_the_order_sent(tmp_path: Path) -> None:
    assert set(INSTALL_ORDER) == set(WorkloadType)
    wanted = deployment(*(one for one in every_type() if one.type is not WorkloadType.IPV4))
    made: list[str] = []
    async with daemon(tmp_path) as node:
        for type, script in node.scripts.items():
            script.calls = _Noting(made, type)
        key = await node.deploy_with_contract(wanted)
        await node.settled()
        record = node.journal.ledger.get(key)
        assert record is not None
        assert [one.name for one in record.workloads] == [one.name for one in wanted.workloads]
    ranks = [INSTALL_ORDER.index(WorkloadType(type)) for type in made]
    assert ranks == sorted(ranks)


class _Noting(list[tuple[str, str]]):
    """Notes the type of everything that is made, in order over all types."""

    def __init__(self, made: list[str], type: WorkloadType) -> None:
        super().__init__()
        self._made, self._type = made, type

    def append(self, call: tuple[str, str]) -> None:
        if call[0] == "provision":
            self._made.append(self._type.value)
        super().append(call)


@pytest.mark.parametrize("available", [None, 0, 16 * GIB])
def test_weakness_20_more_used_than_there_is_lets_nothing_in(available: int | None) -> None:
    small = MachineFacts(Capacity(cru=4, mru=GIB), available, (), overhead=0)
    asks: Sequence[Ask] = [Ask("vm", cpu=1, memory=GIB // 4, machines=1)]
    assert shortage(asks, Booked(memory=8 * GIB, machines=4), small) == (
        "failed to satisfy required capacity: "
        f"cannot fulfil required memory size {GIB // 4} bytes out of usable 0 bytes"
    )


async def test_weakness_21_another_form_of_a_light_network_is_refused_at_once(tmp_path: Path) -> None:
    """Today's text has an absent range as `<nil>` and the port as `0`; another hash is not let in to fail later."""
    wanted = deployment(light_network("lan"), contract=5)
    assert b"<nil>" in wanted.challenge()
    async with daemon(tmp_path) as node:
        node.chain.sign_up(wanted, hash="00" * 16)
        with pytest.raises(Refusal, match="contract hash does not match deployment hash"):
            await node.deploy(wanted)
        assert node.journal.ledger.get(Key(TWIN, ContractId(5))) is None
        node.chain.sign_up(wanted)
        await node.deploy(wanted)
        await node.settled()
