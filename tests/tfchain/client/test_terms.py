"""What the council, validators, certifiers and services do, through the client."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

import tfchain.governance as governance
import tfchain.writes
from gridtypes import ContractId, FarmId, NodeId, TwinId
from tests.tfchain.client.conftest import ALICE, BOB, CHARLIE
from tests.tfchain.client.test_life import CAPACITY, CARD, HASH, PLACE
from tfchain import Chain, ChainError, DispatchError
from tfchain.devchain.pallets.table import TABLE
from tfchain.keys import Identity
from tfchain.models import FarmingPolicy, FarmingPolicyLimit, NruConsumption, Policy, PricingPolicy, Provider
from tfchain.runtime import Call
from tfchain.writes.twins import entity_payload, twin_entity_payload

COUNCIL = (ALICE, BOB)
FARM, NODE = FarmId(1), NodeId(1)
WITHOUT_METHOD = {
    ("System", "remark"): "remark_with_event does the same and can be seen",
    ("Balances", "transfer"): "the old name of transfer_allow_death",
    ("TfgridModule", "report_uptime"): "the generation before report_uptime_v2",
}
PRICES = PricingPolicy(
    name="cheap",
    su=Policy(1),
    cu=Policy(2),
    nu=Policy(3),
    ipu=Policy(4, "Bytes"),
    unique_name=Policy(5),
    domain_name=Policy(6),
    foundation_account=ALICE.public_key,
    certified_sales_account=BOB.public_key,
    discount_for_dedication_nodes=30,
)
TERMS = FarmingPolicy(
    name="gold",
    cu=1,
    su=2,
    nu=3,
    ipv4=4,
    minimal_uptime=95,
    policy_end=1000,
    immutable=False,
    default=False,
    node_certification="Diy",
    farm_certification="NotCertified",
)


@pytest.fixture
async def grid(chain: Chain) -> Chain:
    """Twins 1 to 3, a farm of the first and a node of the second."""
    for key in (ALICE, BOB, CHARLIE):
        await chain.accept_terms(key)
        await chain.create_twin(key)
    farm = await chain.create_farm(ALICE, "devfarm", [("185.206.122.33/24", "185.206.122.1")])
    await chain.create_node(BOB, farm=farm, resources=CAPACITY, location=PLACE, interfaces=[CARD])
    return chain


def test_every_call_has_its_typed_method() -> None:
    sources = [*Path(tfchain.writes.__path__[0]).glob("*.py"), Path(inspect.getfile(governance))]
    texts = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | {f"service_contract_{word}" for word in ("approve", "reject", "cancel")}
    calls = {(pallet, name) for pallet, handlers in TABLE.items() for name in handlers}
    assert {call for call in calls if call[1] not in texts} <= WITHOUT_METHOD.keys() <= calls


async def test_the_council_sets_the_terms(grid: Chain) -> None:
    assert set(await grid.council()) >= {key.public_key for key in COUNCIL}

    async def decide(call: Call) -> None:
        await grid.decide(COUNCIL, call)

    await decide(governance.create_pricing_policy(PRICES))
    made = await grid.pricing_policy_by_name("cheap")
    assert made is not None
    assert await grid.pricing_policy(made) == replace(PRICES, id=made)
    dearer = replace(PRICES, id=made, name="dear", cu=Policy(20, "Terrabytes"))
    await decide(governance.update_pricing_policy(dearer))
    assert (await grid.pricing_policies())[-1] == dearer
    assert await grid.pricing_policy_by_name("cheap") is None

    await decide(governance.create_farming_policy(TERMS))
    policy = (await grid.farming_policies())[-1]
    assert policy == replace(TERMS, id=policy.id, policy_created=policy.policy_created)
    assert policy.policy_created > 0
    await decide(governance.update_farming_policy(replace(policy, cu=11)))
    assert await grid.farming_policy(policy.id) == replace(policy, cu=11)
    assert await grid.farming_policy(policy.id + 1) is None
    limits = FarmingPolicyLimit(policy.id, 100, None, None, 3, False)
    await decide(governance.attach_policy_to_farm(FARM, limits))
    await decide(governance.set_farm_certification(FARM, "Gold"))
    await decide(governance.set_farm_dedicated(FARM, True))
    farm = await grid.farm(FARM)
    assert farm is not None
    assert (farm.farming_policy_limits, farm.certification, farm.dedicated_farm) == (limits, "Gold", True)

    await decide(governance.set_connection_price(123))
    await decide(governance.set_zos_version('{"safe_to_upgrade":true}'))
    await decide(governance.set_storage_version("V17Struct"))
    await decide(governance.change_billing_frequency(900))
    assert await grid.connection_price() == 123
    assert await grid.zos_version() == '{"safe_to_upgrade":true}'
    assert await grid.billing_frequency() == 900

    await decide(governance.add_node_certifier(CHARLIE.public_key))
    assert await grid.node_certifiers() == [CHARLIE.public_key]
    await grid.set_node_certification(CHARLIE, NODE, "Certified")
    await decide(governance.remove_node_certifier(CHARLIE.public_key))
    with pytest.raises(DispatchError, match="NotAllowedToCertifyNode"):
        await grid.set_node_certification(CHARLIE, NODE, "Diy")
    await decide(governance.set_node_certification(NODE, "Diy"))
    assert (await grid.node(NODE)).certification == "Diy"  # type: ignore[union-attr]  # the fixture made it

    with pytest.raises(DispatchError, match="NodeNotAvailableToDeploy"):
        await grid.create_node_contract(CHARLIE, NODE, HASH, b"")
    await decide(governance.set_farm_dedicated(FARM, False))
    contract = await grid.create_node_contract(CHARLIE, NODE, HASH, b"", public_ips=1)
    await decide(governance.reset_farm_ip(FARM, "185.206.122.33/24"))
    assert (await grid.farm(FARM)).public_ips[0].is_free  # type: ignore[union-attr]  # read above
    await decide(governance.cancel_contract(contract))
    assert await grid.contract(contract) is None

    with pytest.raises(DispatchError, match="CanOnlyIncreaseFrequency"):
        await decide(governance.change_billing_frequency(1))
    with pytest.raises(ChainError, match="threshold 1 is not voted on"):
        await grid.propose(ALICE, governance.set_connection_price(1), 1)
    with pytest.raises(DispatchError, match="NotMember"):
        await grid.propose(CHARLIE, governance.set_connection_price(1), 2)


async def test_a_proposal_is_followed_from_its_making_to_its_end(grid: Chain) -> None:
    proposal, index = await grid.propose(ALICE, governance.set_connection_price(9), 2)
    assert await grid.proposals() == [proposal]
    await grid.vote(ALICE, proposal, index, approve=True)
    with pytest.raises(DispatchError, match="TooEarly"):
        await grid.close_proposal(ALICE, proposal, index)
    members = len(await grid.council())
    for member in (ALICE, BOB):
        await grid.vote(member, proposal, index, approve=False)
    vote = await grid.vote_on(proposal)
    assert vote is not None
    assert (vote.index, vote.threshold, set(vote.nays)) == (index, 2, {ALICE.public_key, BOB.public_key})
    if members == len(COUNCIL):
        assert not await grid.close_proposal(CHARLIE, proposal, index)
        assert await grid.vote_on(proposal) is None


async def test_prices_are_set_by_validators_within_the_councils_bounds(
    grid: Chain,
) -> None:
    with pytest.raises(DispatchError, match="AccountUnauthorizedToSetPrice"):
        await grid.set_tft_price(BOB, 80, 1)
    await grid.set_tft_price(ALICE, 80, (await grid.head()).number)
    assert await grid.tft_price() == 80
    assert await grid.average_tft_price() > 0
    lowest, highest = await grid.tft_price_bounds()
    await grid.decide(COUNCIL, governance.set_highest_tft_price(highest + 1))
    await grid.decide(COUNCIL, governance.set_lowest_tft_price(lowest + 1))
    assert await grid.tft_price_bounds() == (lowest + 1, highest + 1)


async def test_money_moves_and_burns(grid: Chain) -> None:
    stranger = Identity("//Stranger", "sr25519")
    await grid.transfer_allow_death(ALICE, stranger.public_key, 50_000_000)
    assert await grid.balance(stranger.public_key) == 50_000_000
    await grid.burn(stranger, 10_000_000, "enough")
    with pytest.raises(DispatchError, match="NotEnoughBalanceToBurn"):
        await grid.burn(stranger, 50_000_000, "more than there is")
    await grid.transfer_all(stranger, ALICE.address, keep_alive=False)
    assert await grid.balance(stranger.public_key) == 0


async def test_accounts_keep_values(grid: Chain) -> None:
    await grid.set_value(ALICE, b"colour", b"green")
    assert await grid.value(ALICE.public_key, b"colour") == b"green"
    await grid.delete_value(ALICE, b"colour")
    assert await grid.value(ALICE.public_key, b"colour") is None
    with pytest.raises(DispatchError, match="NoValueStored"):
        await grid.delete_value(ALICE, b"colour")


async def test_calls_go_together_or_each_on_its_own(grid: Chain) -> None:
    good, bad = (
        Call("TFKVStore", "set", {"key": b"a", "value": b"1"}),
        Call("TFKVStore", "delete", {"key": b"b"}),
    )
    with pytest.raises(DispatchError, match="NoValueStored"):
        await grid.submit_all(ALICE, [good, bad])
    assert await grid.value(ALICE.public_key, b"a") is None
    outcomes = await grid.submit_each(ALICE, [bad, good, bad])
    assert [outcome and outcome.name for outcome in outcomes] == ["NoValueStored", None, "NoValueStored"]
    assert await grid.value(ALICE.public_key, b"a") == b"1"
    other = Call("TFKVStore", "set", {"key": b"c", "value": b"1"})
    with pytest.raises(DispatchError, match=r"call 2 of 3, TFKVStore\.delete.*NoValueStored"):
        await grid.submit_until_failure(ALICE, [other, bad, good])
    assert await grid.value(ALICE.public_key, b"c") == b"1"
    receipt = await grid.remark(ALICE, b"hello")
    assert receipt.event("System", "Remarked") is not None


async def test_entities_stand_behind_twins(grid: Chain) -> None:
    signature = CHARLIE.sign(entity_payload("Firm", "Belgium", "Gent"))
    made = await grid.create_entity(ALICE, CHARLIE.public_key, "Firm", "Belgium", "Gent", signature)
    entity = await grid.entity(made)
    assert entity is not None
    assert (entity.name, entity.account_id, entity.country, entity.city) == (
        "Firm",
        CHARLIE.public_key,
        "Belgium",
        "Gent",
    )
    assert await grid.entity_by_account(CHARLIE.public_key) == await grid.entity_by_name("Firm") == made
    twin = TwinId(1)
    await grid.add_twin_entity(ALICE, twin, made, CHARLIE.sign(twin_entity_payload(twin, made)))
    assert [proof.entity_id for proof in (await grid.twin(twin)).entities] == [made]  # type: ignore[union-attr]  # fixture
    await grid.delete_twin_entity(ALICE, twin, made)
    await grid.update_entity(CHARLIE, "Company", "Belgium", "Brussel")
    assert (await grid.entity(made)).city == "Brussel"  # type: ignore[union-attr]  # made above
    await grid.delete_entity(CHARLIE)
    assert await grid.entity(made) is None
    await grid.bond_twin_account(BOB, twin)
    assert await grid.bonded_account(twin) == BOB.public_key


async def test_farmers_rename_and_say_where_money_goes(grid: Chain) -> None:
    stellar = "GB" + "A" * 54
    await grid.set_farm_payout_address(ALICE, FARM, stellar)
    assert await grid.farm_payout_address(FARM) == stellar
    await grid.update_farm(ALICE, FARM, "newname")
    assert await grid.farm_by_name("newname") == FARM
    await grid.set_node_extra_fee(ALICE, NODE, 5000)
    assert await grid.node_extra_fee(NODE) == 5000
    second = await grid.create_twin(*await _newcomer(grid, "//Second"))
    assert second == 4
    await grid.delete_farm_node(ALICE, NODE)
    assert await grid.node(NODE) is None
    again = await grid.create_node(BOB, farm=FARM, resources=CAPACITY, location=PLACE, interfaces=[CARD])
    await grid.delete_node(BOB, again)
    assert await grid.nodes() == []


async def test_services_bill_their_consumers(grid: Chain) -> None:
    made = await grid.create_service_contract(ALICE, ALICE.public_key, CHARLIE.public_key)
    await grid.set_service_metadata(ALICE, made, b"backup")
    await grid.set_service_fees(ALICE, made, 10, 20)
    await grid.approve_service_contract(ALICE, made)
    await grid.approve_service_contract(CHARLIE, made)
    contract = await grid.service_contract(made)
    assert contract is not None
    assert (contract.service, contract.consumer, contract.metadata) == (1, 3, b"backup")
    assert (contract.base_fee, contract.variable_fee, contract.state) == (10, 20, "ApprovedByBoth")
    await grid.bill_service_contract(ALICE, made, 0, b"first")
    await grid.cancel_service_contract(CHARLIE, made)
    assert await grid.service_contract(made) is None
    second = await grid.create_service_contract(CHARLIE, ALICE.public_key, CHARLIE.public_key)
    await grid.set_service_metadata(CHARLIE, second, b"mail")
    await grid.set_service_fees(ALICE, second, 1, 0)
    await grid.reject_service_contract(CHARLIE, second)
    assert await grid.service_contract(second) is None


async def test_solution_providers_get_their_share(grid: Chain) -> None:
    provider = Provider(BOB.public_key, 20)
    made = await grid.create_solution_provider(BOB, "vault", "https://example.org", [provider])
    contract = await grid.create_node_contract(CHARLIE, NODE, HASH, b"")
    with pytest.raises(DispatchError, match="SolutionProviderNotApproved"):
        await grid.attach_solution_provider(CHARLIE, contract, made)
    await grid.decide(COUNCIL, governance.approve_solution_provider(made, True))
    found = await grid.solution_provider(made)
    assert found is not None
    assert (found.providers, found.description, found.approved) == ((provider,), "vault", True)
    await grid.attach_solution_provider(CHARLIE, contract, made)
    assert (await grid.find_contract(contract)).solution_provider_id == made
    with pytest.raises(DispatchError, match="SolutionProvider"):
        await grid.create_node_contract(CHARLIE, NODE, HASH[::-1], b"", solution_provider=made + 1)


async def test_a_node_reports_what_the_network_carried(grid: Chain) -> None:
    await grid.decide(
        COUNCIL, governance.change_billing_frequency(10_000)
    )  # so that no turn comes in between
    contract = await grid.create_node_contract(CHARLIE, NODE, HASH, b"")
    now = await grid.now() // 1000
    await grid.report_network_use(BOB, [NruConsumption(contract, now, 60, 5 << 30)])
    assert await grid.unbilled_network_use(contract) > 0
    assert await grid.unbilled_network_use(ContractId(99)) == 0
    await grid.bill_contract(BOB, contract)
    assert await grid.unbilled_network_use(contract) == 0
    assert (await grid.contract_lock(contract)).cycles == 1


async def _newcomer(chain: Chain, secret: str) -> tuple[Identity]:
    key = Identity(secret, "sr25519")
    await chain.transfer(ALICE, key.public_key, 100_000_000)
    await chain.accept_terms(key)
    return (key,)
