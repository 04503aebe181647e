"""A farm, a node and a contract from their beginning to their end, through the client."""

from __future__ import annotations

import asyncio
import time

import pytest

from gridtypes import ContractId
from tests.tfchain.client.conftest import ALICE, BOB, CHARLIE
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain, ChainError, DispatchError, NotFound, SubmissionRefused
from tfchain.keys import Identity
from tfchain.models import (
    ConfiguredAddress,
    ContractResources,
    ContractState,
    Interface,
    Location,
    NameContract,
    PublicConfig,
    RentContract,
    Resources,
)
from tfchain.runtime import Call

GIB = 1 << 30
HASH = "06e5c0d0f9eabd9525e5f9dc4f6f37cf"
CAPACITY = Resources(sru=512 * GIB, cru=8, mru=16 * GIB)
PLACE = Location("Gent", "Belgium", "51.05", "3.71")
CARD = Interface("zos", "54:45:46:f6:02:61", ("10.5.0.2", "fe80::1"))


async def test_a_contract_lives_from_terms_to_cancellation(chain: Chain) -> None:
    for key in (ALICE, BOB, CHARLIE):
        assert not await chain.has_accepted_terms(key.public_key)
        await chain.accept_terms(key)
        assert await chain.has_accepted_terms(key.public_key)
    farmer = await chain.create_twin(ALICE)
    node_twin = await chain.create_twin(BOB, "relay.example.org", b"\2" * 33)
    user = await chain.create_twin(CHARLIE)
    assert (farmer, node_twin, user) == (1, 2, 3)
    twin = await chain.twin(node_twin)
    assert twin is not None
    assert (twin.account_id, twin.relays, twin.pk) == (BOB.public_key, {"relay.example.org"}, b"\2" * 33)
    assert twin.address == BOB.address
    await chain.update_twin(BOB, None, None)
    assert (await chain.twin(node_twin)).relay is None  # type: ignore[union-attr]  # read above
    assert await chain.twin_by_account(BOB.public_key) == node_twin

    farm_id = await chain.create_farm(ALICE, "devfarm", [("185.206.122.33/24", "185.206.122.1")])
    await chain.add_farm_ip(ALICE, farm_id, "185.206.122.34/24", "185.206.122.1")
    await chain.add_farm_ip(ALICE, farm_id, "185.206.122.35/24", "185.206.122.1")
    await chain.remove_farm_ip(ALICE, farm_id, "185.206.122.35/24")
    assert await chain.farm_by_name("devfarm") == farm_id
    farm = await chain.farm(farm_id)
    assert farm is not None
    assert [ip.ip for ip in farm.public_ips] == ["185.206.122.33/24", "185.206.122.34/24"]
    assert farm.twin_id == farmer
    assert [one.id for one in await chain.farms()] == [farm_id]

    node_id = await chain.create_node(
        BOB, farm=farm_id, resources=CAPACITY, location=PLACE, interfaces=[CARD], virtualized=True
    )
    bigger = Resources(sru=CAPACITY.sru, cru=16, mru=CAPACITY.mru)
    await chain.update_node(
        BOB, node_id, farm=farm_id, resources=bigger, location=PLACE, interfaces=[CARD], serial_number="S1"
    )
    node = await chain.node(node_id)
    assert node is not None
    assert (node.resources, node.location, node.interfaces) == (bigger, PLACE, (CARD,))
    assert (node.serial_number, node.virtualized) == ("S1", False)
    assert await chain.node_by_twin(node_twin) == node_id
    assert await chain.nodes() == await chain.nodes(farm_id) == [node]
    config = PublicConfig(
        ConfiguredAddress("185.206.122.40/24", "185.206.122.1"), domain="gent01.example.org"
    )
    await chain.set_node_public_config(ALICE, farm_id, node_id, config)
    assert (await chain.node(node_id)).public_config == config  # type: ignore[union-attr]  # read above
    await chain.set_node_public_config(ALICE, farm_id, node_id, None)
    await chain.report_uptime(BOB, 60, int(time.time()))
    await chain.set_node_power_target(ALICE, node_id, False)
    await chain.set_node_power_state(BOB, False)
    power = await chain.node_power(node_id)
    assert (power.is_up, power.wanted_up) == (False, False)
    assert power.down_since == (await chain.head()).number
    await chain.set_node_power_target(ALICE, node_id, True)
    await chain.set_node_power_state(BOB, True)

    contract_id = await chain.create_node_contract(CHARLIE, node_id, HASH, '{"name":"vm"}', public_ips=1)
    contract = await chain.find_contract(contract_id)
    assert (contract.twin_id, contract.state) == (user, ContractState.CREATED)
    terms = contract.node_contract
    assert terms is not None
    assert (terms.node_id, terms.deployment_hash, terms.public_ips) == (node_id, HASH, 1)
    assert (terms.deployment_data, len(terms.public_ips_list)) == (b'{"name":"vm"}', 1)
    assert await chain.contract_by_node_and_hash(node_id, HASH) == contract_id
    assert await chain.node_contracts(node_id) == [contract_id]
    other = HASH[::-1]
    await chain.update_node_contract(CHARLIE, contract_id, other, b"")
    assert await chain.contract_by_node_and_hash(node_id, HASH) is None
    assert await chain.contract_by_node_and_hash(node_id, other) == contract_id
    used = ContractResources(contract_id, Resources(sru=10 * GIB, cru=1, mru=2 * GIB))
    await chain.report_contract_resources(BOB, [used])
    assert await chain.contract_resources(contract_id) == used

    name_id = await chain.create_name_contract(CHARLIE, "mysite")
    assert await chain.contract_by_name("mysite") == name_id
    both = await chain.contracts([contract_id, name_id, type(name_id)(99)])
    assert both[name_id].content == NameContract("mysite")
    assert set(both) == {contract_id, name_id}

    await chain.cancel_contract(CHARLIE, contract_id)
    assert await chain.contract(contract_id) is None
    assert await chain.node_contracts(node_id) == []
    rent_id = await chain.create_rent_contract(CHARLIE, node_id)
    assert await chain.rent_contract(node_id) == rent_id
    assert (await chain.find_contract(rent_id)).content == RentContract(node_id)
    with pytest.raises(NotFound, match=r"contract 1 is not on the chain: looked for it up to block \d+"):
        await chain.find_contract(contract_id, patience=0.5)


async def test_what_is_not_there_reads_as_none(shared_chain: Chain) -> None:
    nobody = Identity.generate().public_key
    assert await shared_chain.twin_by_account(nobody) is None
    assert await shared_chain.balance(nobody) == 0
    assert await shared_chain.farm_by_name("nowhere") is None
    assert await shared_chain.contract_by_name("nothing") is None
    assert await shared_chain.nodes() == []


async def test_a_failed_call_names_its_error(shared_chain: Chain) -> None:
    with pytest.raises(DispatchError) as caught:
        await shared_chain.create_twin(BOB)
    assert (caught.value.module, caught.value.name) == ("TfgridModule", "UserDidNotSignTermsAndConditions")
    assert "create_twin" in str(caught.value)
    call = Call("TfgridModule", "set_connection_price", {"price": 3})
    with pytest.raises(DispatchError) as caught:
        await shared_chain.submit(BOB, call.pallet, call.name, dict(call.arguments))
    assert (caught.value.module, caught.value.name) == ("", "BadOrigin")


async def test_what_the_chain_does_not_take_is_refused_at_once(shared_chain: Chain) -> None:
    poor = Identity.generate()
    with pytest.raises(SubmissionRefused, match="pay"):
        await shared_chain.accept_terms(poor)
    with pytest.raises(SubmissionRefused):
        await shared_chain.create_farm(ALICE, "x" * 41)


async def test_a_value_that_does_not_fit_is_refused_before_it_is_sent(shared_chain: Chain) -> None:
    before = await shared_chain.nonce(ALICE.public_key)
    with pytest.raises(ChainError, match=r"does not fit|negative"):
        await shared_chain.transfer(ALICE, BOB.public_key, -1)
    with pytest.raises(ChainError, match="no_such_call"):
        await shared_chain.submit(ALICE, "Balances", "no_such_call", {})
    assert await shared_chain.nonce(ALICE.public_key) == before


async def test_calls_in_a_batch_have_effect_together_or_not_at_all(shared_chain: Chain) -> None:
    to = Identity.generate()
    pay = Call("Balances", "transfer", {"dest": {"Id": to.public_key}, "value": 10**7})
    await shared_chain.submit_all(ALICE, [pay, pay])
    assert await shared_chain.balance(to.public_key) == 2 * 10**7
    broke = Call("Balances", "transfer", {"dest": {"Id": to.public_key}, "value": 1 << 100})
    with pytest.raises(DispatchError, match="FundsUnavailable"):
        await shared_chain.submit_all(ALICE, [pay, broke])
    assert await shared_chain.balance(to.public_key) == 2 * 10**7


@pytest.mark.parametrize("kind", ["ed25519", "sr25519"])
async def test_a_new_account_is_activated(
    shared_chain: Chain, shared_process: ChainProcess, kind: str
) -> None:
    key = Identity.generate("sr25519" if kind == "sr25519" else "ed25519")
    url = f"http://127.0.0.1:{shared_process.port}/activation/activate"
    await shared_chain.ensure_account(key, url)
    assert await shared_chain.balance(key.public_key) == 10**7
    await shared_chain.ensure_account(key, url)
    assert await shared_chain.balance(key.public_key) == 10**7
    await shared_chain.accept_terms(key)
    assert await shared_chain.create_twin(key) > 0


async def test_money_is_sent_by_address(shared_chain: Chain) -> None:
    to = Identity.generate()
    await shared_chain.transfer(ALICE, to.address, 5_000_000)
    assert await shared_chain.balance(to.public_key) == 5_000_000


async def test_the_chain_says_who_and_when_it_is(shared_chain: Chain, shared_process: ChainProcess) -> None:
    assert (await shared_chain.runtime_version()).spec == 149
    assert abs(await shared_chain.now() / 1000 - time.time()) < 10
    assert "0x" + (await shared_chain.genesis_hash()).hex() == shared_process.rpc("chain_getBlockHash", 0)
    head, finalised = await asyncio.gather(shared_chain.head(), shared_chain.finalised_head())
    assert finalised.number <= head.number + 1


async def test_long_scans_go_page_by_page_and_tell_how_far_they_are(process: ChainProcess) -> None:
    async with Chain([process.url]) as chain:
        await chain.accept_terms(ALICE)
        await chain.create_twin(ALICE)
        contracts = [await chain.create_name_contract(ALICE, f"name{number}") for number in range(5)]
        told: list[int] = []
        found = [one.contract_id async for one in chain.iterate_contracts(told.append)]
        assert sorted(found) == contracts
        assert told == [5]
        assert [twin.account_id async for twin in chain.iterate_twins()] == [ALICE.public_key]
        assert [value async for value in chain.iterate("TfgridModule", "Farms")] == []


async def test_the_last_bill_tells_amount_and_discount(process: ChainProcess) -> None:
    async with Chain([process.url]) as chain:
        await chain.accept_terms(ALICE)
        await chain.create_twin(ALICE)
        contract = await chain.create_name_contract(ALICE, "billed")
        assert await chain.last_bill(ContractId(99)) is None
        process.rpc("dev_newBlock", {"count": 10, "step": 360_000})
        bill = await chain.last_bill(contract)
        assert bill is not None
        assert bill.discount == "Gold"
        assert bill.amount > 0
        lock = await chain.contract_lock(contract)
        assert lock.amount_locked >= bill.amount
        process.rpc("dev_setBlockBuildMode", "Manual")
        process.rpc("dev_bill", contract)
        assert await chain.last_bill(contract) is not None
