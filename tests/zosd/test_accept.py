"""Every refusal has its own text and stores nothing; what is accepted is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridtypes import (
    ContractId,
    Deployment,
    TwinId,
    WorkloadType,
)
from tests.zosd.parts import (
    CONTRACT,
    TWIN,
    Daemon,
    Signer,
    daemon,
    deployment,
    full,
    machine,
    network,
    public_ip,
    raw,
    zmount,
)
from zosd.accept.acceptor import MOST_WAITING, Call
from zosd.accept.contract import ContractState
from zosd.accept.drafts import key_of
from zosd.accept.refusal import Refusal
from zosd.accept.rules import MAX_BODY, MAX_WORKLOADS
from zosd.capacity import GIB
from zosd.clock import SystemClock
from zosd.journal.records import Key, Phase

STRANGER = Signer(TwinId(27))


async def refused(node: Daemon, wanted: Deployment, caller: TwinId | None = None) -> str:
    """Deploy, expect a refusal that stored nothing and made nothing, and return its text."""
    before = [record.key for record in node.journal.ledger.all()]
    with pytest.raises(Refusal) as caught:
        await node.deploy(wanted, caller)
    assert [record.key for record in node.journal.ledger.all()] == before
    assert all(not script.calls for script in node.scripts.values())
    return str(caught.value)


async def refused_body(node: Daemon, body: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        await node.acceptor.deploy(Call(TWIN, body, SystemClock().monotonic() + 60))
    assert len(node.journal.ledger) == 0
    return str(caught.value)


def signed_up(node: Daemon, wanted: Deployment, /, **changes: object) -> Deployment:
    node.chain.sign_up(wanted, **changes)
    return wanted


class TestOrderAndTexts:
    async def test_no_json(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            assert await refused_body(node, b"{]")
            assert "workloads" in await refused_body(node, b'{"workloads": 5}')

    async def test_too_many_bytes(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            text = await refused_body(node, b" " * (MAX_BODY + 1))
            assert text == f"deployment has {MAX_BODY + 1} bytes, the limit is {MAX_BODY}"

    async def test_a_large_body_does_not_hold_up_the_others(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            filler = ",".join(['{"a":1}'] * 1000)
            large = deployment(
                *(raw(f"d{n}", WorkloadType.ZMOUNT, f'{{"size":0,"x":[{filler}]}}') for n in range(50))
            )
            task = asyncio.create_task(refused(node, large))
            turns = 0
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            assert await task == "invalid size"
            assert turns > 50, "the loop was held while the body was read"

    async def test_too_many_workloads(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            many = deployment(*(zmount(f"d{n}") for n in range(MAX_WORKLOADS + 1)))
            text = await refused(node, signed_up(node, many))
            assert text.startswith(
                f"deployment has {MAX_WORKLOADS + 1} workloads, the limit is {MAX_WORKLOADS}"
            )

    async def test_invalid(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(zmount("a", 0))
            assert await refused(node, signed_up(node, wanted)) == "invalid size"

    async def test_structure_comes_before_the_twin(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            assert await refused(node, deployment(zmount("a", 0)), TwinId(99)) == "invalid size"

    async def test_another_twin(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            text = await refused(node, signed_up(node, full()), TwinId(1))
            assert text == "twin id mismatch (deployment: 26, message: 1)"

    async def test_unsigned(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            signed = full()
            requirement = replace(signed.signature_requirement, signatures=())
            text = await refused(node, signed_up(node, replace(signed, signature_requirement=requirement)))
            assert text == "missing required signature for twin '26'"

    async def test_changed_after_signing_fails_at_the_signature(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, full())
            text = await refused(node, replace(wanted, description="other"))
            assert text == "failed to verify signature"

    async def test_changed_and_signed_again_fails_at_the_hash(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, full())
            tampered = replace(wanted, description="other").sign(TWIN, Signer())
            assert await refused(node, tampered) == "contract hash does not match deployment hash"

    async def test_unknown_twin(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, deployment(network(), signer=STRANGER))
            text = await refused(node, wanted)
            assert text == "failed to get public key for twin '27': twin not found"

    async def test_first_version_is_0(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, deployment(network(), version=1))
            text = await refused(node, wanted)
            assert text == "expected version to be 0 on deployment creation: invalid version"

    async def test_exists(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(network("other")))
            await node.settled()
            for script in node.scripts.values():
                script.calls.clear()
            assert await refused(node, signed_up(node, full())) == "exists"

    async def test_network_name_of_another_deployment(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(network(), contract=1))
            await node.settled()
            for script in node.scripts.values():
                script.calls.clear()
            text = await refused(node, signed_up(node, deployment(network(), contract=2)))
            assert text == "global workload with the same name 'net1' exists: conflict"

    async def test_two_twins_can_have_networks_of_one_name(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.chain.keys[STRANGER.twin] = STRANGER.public_key
            await node.deploy_with_contract(deployment(network(), contract=1))
            await node.deploy_with_contract(deployment(network(), contract=2, signer=STRANGER))
            assert len(node.journal.ledger) == 2

    async def test_unregistered_node(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.registered = False
            assert "registration is still in progress" in await refused(node, signed_up(node, full()))

    async def test_empty_list_of_workloads_is_accepted(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment())
            assert len(node.journal.ledger) == 1


class TestContract:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"node": None}, "invalid contract type, expecting node contract"),
            ({"node": 8}, "invalid node address in contract"),
            ({"twin": 5}, "contract 1000 belongs to twin 5, not to twin 26 of the deployment"),
            ({"state": ContractState.ENDED}, "contract 1000 is cancelled: create a new one"),
            ({"state": ContractState.GRACE}, "contract 1000 is in its grace period"),
            ({"hash": "0" * 32}, "contract hash does not match deployment hash"),
            ({"addresses": ()}, "required 1 ips while contract has 0 ip reserved"),
        ],
    )
    async def test_does_not_fit(self, tmp_path: Path, changes: dict[str, object], text: str) -> None:
        async with daemon(tmp_path) as node:
            assert (await refused(node, signed_up(node, full(), **changes))).startswith(text)

    async def test_is_looked_for_again_and_then_refused_with_the_height(self, tmp_path: Path) -> None:
        async with daemon(tmp_path, look_again=0.2) as node:
            text = await refused(node, full())
            assert text == (
                "failed to get deployment contract: contract not found: object not found "
                f"(contract {CONTRACT}, looked for until block 100)"
            )
            assert node.chain.looks > 3

    async def test_that_shows_up_while_it_is_looked_for_is_good(self, tmp_path: Path) -> None:
        async with daemon(tmp_path, look_again=5) as node:
            node.chain.lagging = 3
            await node.deploy_with_contract(full())
            await node.settled()


class TestChainAway:
    async def known(self, node: Daemon) -> None:
        """Make the twin's key known."""
        await node.deploy_with_contract(deployment(zmount("first"), contract=1))
        await node.settled()
        node.chain.away = True

    async def test_a_known_twin_waits_in_init(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            wanted = signed_up(node, full())
            await node.deploy(wanted)
            key = key_of(wanted)
            await asyncio.sleep(0.05)
            assert set(node.states(key).values()) == {"init"}
            assert await node.waiting.round() is False
            assert "chain unreachable: connection refused" in node.message(key, "vm1")
            node.chain.away = False
            assert await node.waiting.round() is True
            await node.settled()
            assert set(node.states(key).values()) == {"ok"}

    async def test_a_waiting_one_survives_a_restart_and_is_checked(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            wanted = signed_up(node, full(), hash="0" * 32)
            await node.deploy(wanted)
            chain = node.chain
        chain.away = False
        async with daemon(tmp_path, chain) as node:
            await node.waiting.round()
            key = key_of(wanted)
            assert set(node.states(key).values()) == {"error"}
            assert node.message(key, "vm1") == "contract hash does not match deployment hash"
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.phase is Phase.REFUSED
            assert not node.scripts[WorkloadType.ZMACHINE].calls
            # A better one may take its place.
            chain.sign_up(wanted)
            await node.deploy(wanted)
            await node.settled()
            assert set(node.states(key).values()) == {"ok"}

    async def test_an_unknown_twin_is_refused(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.chain.away = True
            text = await refused(node, full())
            assert "failed to get public key for twin '26': the chain cannot be reached" in text

    async def test_only_64_wait_for_one_twin(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            for number in range(MOST_WAITING):
                await node.deploy(deployment(zmount("d", 1 << 20), contract=100 + number))
            with pytest.raises(Refusal, match="26 has 64 deployments waiting for the chain, the limit is 64"):
                await node.deploy(deployment(zmount("d"), contract=999))

    async def test_an_update_waits_and_what_runs_is_not_touched(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(deployment(zmount("a")))
            await node.settled()
            new = deployment(zmount("a", 2 * GIB, version=1), version=1)
            node.chain.away = True
            await node.update(new)
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.header.version == 0
            node.chain.away = False
            await node.waiting.round()  # the contract still has the old hash
            assert (await node.changes(key))[-1] == ("a", "unchanged")
            assert node.states(key) == {"a": "ok"}
            node.chain.sign_up(new)
            await node.update(new)
            await node.settled()
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.header.version == 1


class TestRepeated:
    async def test_the_same_deploy_again_is_no_error(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = full()
            key = await node.deploy_with_contract(wanted)
            await node.settled()
            before = await node.changes(key)
            await node.deploy(wanted)
            await asyncio.sleep(0.05)
            assert await node.changes(key) == before

    async def test_two_at_the_same_time(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, full())
            await asyncio.gather(node.deploy(wanted), node.deploy(wanted), node.deploy(wanted))
            await node.settled()
            assert [state for _, state in await node.changes(Key(TWIN, CONTRACT))].count("init") == 4

    async def test_the_same_update_again_is_no_error(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("a")))
            new = signed_up(node, deployment(zmount("a", 2 * GIB, version=1), version=1))
            await node.update(new)
            await node.update(new)
            await node.settled()


class TestUpdateRefusals:
    async def refuse(self, node: Daemon, new: Deployment) -> str:
        node.chain.sign_up(new)
        with pytest.raises(Refusal) as caught:
            await node.update(new)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (
                lambda: deployment(zmount("a", version=2), version=2),
                "expecting deployment version 1, got 2: upgrade validation error",
            ),
            (
                lambda: deployment(network("a", version=1), version=1),
                "cannot change workload type 'a': upgrade validation error",
            ),
            (
                lambda: deployment(zmount("a"), zmount("b"), version=1),
                "invalid version number for workload 'b' expected '1': upgrade validation error",
            ),
        ],
    )
    async def test_texts(self, tmp_path: Path, make: Callable[[], Deployment], text: str) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("a")))
            await node.settled()
            assert await self.refuse(node, make()) == text

    async def test_a_machine_cannot_be_updated(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(network(), machine()))
            await node.settled()
            new = deployment(network(), machine(version=1, cpu=2), version=1)
            assert (
                await self.refuse(node, new)
                == "workload 'zmachine' does not support upgrade: upgrade validation error"
            )

    async def test_unknown(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            new = deployment(zmount("a", version=1), version=1)
            assert await self.refuse(node, new) == "twin not found: deployment does not exist"
            await node.deploy_with_contract(deployment(network(), contract=1))
            assert await self.refuse(node, new) == "deployment not found: deployment does not exist"

    async def test_a_wrong_hash_leaves_everything_as_it_is(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            before = node.journal.ledger.get(key)
            new = deployment(network(version=1), version=1)
            with pytest.raises(Refusal, match="contract hash does not match deployment hash"):
                await node.update(new)
            assert node.journal.ledger.get(key) == before


class TestCapacity:
    async def test_memory(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine(memory=15 * GIB))
            text = await refused(node, signed_up(node, wanted))
            assert text == (
                "failed to satisfy required capacity: cannot fulfil required memory size "
                f"{15 * GIB} bytes out of usable {14 * GIB} bytes"
            )

    async def test_the_sum_of_a_deployment_counts(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine("a", memory=8 * GIB), machine("b", memory=8 * GIB))
            assert "out of usable" in await refused(node, signed_up(node, wanted))

    async def test_the_kernel_s_figure_counts_when_it_is_worse(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.available = GIB
            wanted = deployment(network(), machine(memory=2 * GIB))
            assert f"out of usable {GIB} bytes" in await refused(node, signed_up(node, wanted))

    async def test_a_node_smaller_than_its_own_reserve_lets_nothing_pass(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.total = replace(node.node.total, mru=GIB)
            wanted = deployment(network(), machine())
            assert "out of usable 0 bytes" in await refused(node, signed_up(node, wanted))

    async def test_cores(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine(cpu=5))
            assert "required cpu count 5 out of 4" in await refused(node, signed_up(node, wanted))

    async def test_disk(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.free_ssd = 10 * GIB
            wanted = deployment(zmount("a", 6 * GIB), zmount("b", 6 * GIB))
            assert "not enough space left in pools of this type ssd" in await refused(
                node, signed_up(node, wanted)
            )

    async def test_what_is_promised_at_the_same_time_is_never_promised_twice(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            gate = node.scripts[WorkloadType.ZMACHINE].gates["provision"] = asyncio.Event()
            wanted = [
                signed_up(
                    node, deployment(network(f"n{n}"), machine(net=f"n{n}", memory=4 * GIB), contract=n)
                )
                for n in range(1, 11)
            ]
            ends = await asyncio.gather(*(node.deploy(one) for one in wanted), return_exceptions=True)
            assert sum(end is None for end in ends) == 3  # 16 GiB less 2 GiB of reserve
            assert all("cannot fulfil" in str(end) for end in ends if end is not None)
            gate.set()
            await node.settled()

    async def test_growth_of_a_disk_counts(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.free_ssd = 10 * GIB
            await node.deploy_with_contract(deployment(zmount("a", 4 * GIB)))
            await node.settled()
            new = deployment(zmount("a", 20 * GIB, version=1), version=1)
            node.chain.sign_up(new)
            with pytest.raises(Refusal, match="not enough space"):
                await node.update(new)


async def test_an_accepted_deployment_is_there_after_a_kill(tmp_path: Path) -> None:
    """Nothing is closed: the second journal reads what the first had on disk when it answered."""
    async with daemon(tmp_path, start=False) as node:
        wanted = signed_up(node, full())
        await node.deploy(wanted)
        import sqlite3

        copy = sqlite3.connect(f"file:{tmp_path}/journal.db?mode=ro", uri=True)
        assert copy.execute("SELECT count(*) FROM deployment").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM workload").fetchone() == (4,)
        assert copy.execute("SELECT job FROM deployment").fetchone() == ("provision",)
        copy.close()


def test_the_contract_of_a_public_ip_is_counted() -> None:
    from zosd.accept.rules import wanted_addresses

    wanted = deployment(public_ip("a"), raw("b", WorkloadType.IP, '{"v6":true}'), raw("c", WorkloadType.IPV4))
    assert wanted_addresses(wanted) == 2
    assert ContractId(1) == 1
