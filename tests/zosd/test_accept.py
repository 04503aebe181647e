"""Every refusal has its own text and stores nothing; what is accepted is on disk."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gridtypes import (
    ContractId,
    TwinId,
    WorkloadType,
)
from tests.zosd.accepting import refused, refused_body, signed_up
from tests.zosd.parts import (
    CONTRACT,
    TWIN,
    Signer,
    daemon,
    deployment,
    full,
    network,
    public_ip,
    raw,
    zmount,
)
from zosd.accept.contract import ContractState
from zosd.accept.rules import MAX_BODY, MAX_WORKLOADS

STRANGER = Signer(TwinId(27))


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
