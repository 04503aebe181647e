"""Service contracts, solution providers, extra fees, billing frequency."""

from __future__ import annotations

from typing import Any

from tests.tfchain.devchain.driver import Driver, person

ALICE, BOB, CHARLIE = person("//Alice"), person("//Bob"), person("//Charlie")
S = "SmartContractModule."


def test_a_service_is_agreed_on_billed_and_cancelled(grid: Driver) -> None:
    create = {"service_account": ALICE.address, "consumer_account": CHARLIE.address}
    assert grid.call(BOB, S + "service_contract_create", **create).error == "TwinNotAuthorized"
    assert grid.call(ALICE, S + "service_contract_create", **create).ok
    number = {"service_contract_id": 1}
    early = grid.call(ALICE, S + "service_contract_approve", **number)
    assert early.error == "ServiceContractApprovalNotAllowed"
    long = grid.call(CHARLIE, S + "service_contract_set_metadata", **number, metadata="m" * 65)
    assert long.error == "ServiceContractMetadataTooLong"
    assert grid.call(CHARLIE, S + "service_contract_set_metadata", **number, metadata="help").ok
    fees = {"base_fee": 1000, "variable_fee": 500}
    assert grid.call(CHARLIE, S + "service_contract_set_fees", **number, **fees).error == "TwinNotAuthorized"
    ready = grid.call(ALICE, S + "service_contract_set_fees", **number, **fees)
    assert ready.of("SmartContractModule")[0][1]["state"] == "AgreementReady"
    for who in (ALICE, CHARLIE):
        assert grid.call(who, S + "service_contract_approve", **number).ok
    assert grid.read(S + "ServiceContracts", 1)["state"] == "ApprovedByBoth"
    grid.chain.clock_offset_ms += 2 * 3600 * 1000
    bill = {"variable_amount": 501, "metadata": "two hours"}
    high = grid.call(ALICE, S + "service_contract_bill", **number, **bill)
    assert high.error == "ServiceContractBillingVariableAmountTooHigh"
    before = grid.balance(CHARLIE)
    billed = grid.call(ALICE, S + "service_contract_bill", **number, **{**bill, "variable_amount": 500})
    event = billed.of("SmartContractModule")[0][1]
    assert (event["bill"]["window"], event["amount"]) == (3600, 300_000_000)  # 1.5 USD at 50 mUSD are 30 TFT
    assert grid.balance(CHARLIE) == before - 300_000_000
    assert grid.call(CHARLIE, S + "service_contract_cancel", **number).ok
    assert grid.read(S + "ServiceContracts", 1) is None


def test_a_solution_provider_takes_its_share_once_approved(grid: Driver) -> None:
    providers = [{"who": BOB.address, "take": 30}]
    text = {"description": "d", "link": "l"}
    greedy = grid.call(BOB, S + "create_solution_provider", **text, providers=[{**providers[0], "take": 51}])
    assert greedy.error == "InvalidProviderConfiguration"
    assert grid.call(BOB, S + "create_solution_provider", **text, providers=providers).ok
    assert _contract(grid, 1).error == "SolutionProviderNotApproved"
    assert _contract(grid, 2).error == "NoSuchSolutionProvider"
    assert grid.root(S + "approve_solution_provider", solution_provider_id=1, approve=True) is None
    assert _contract(grid, 1).ok
    grid.chain.clock_offset_ms += 3600 * 1000
    billed = grid.call(ALICE, S + "bill_contract_for_block", contract_id=1)
    amount = billed.of("SmartContractModule")[0][1]["amount_billed"]
    before = grid.balance(BOB)
    assert grid.call(CHARLIE, S + "cancel_contract", contract_id=1).ok
    assert grid.balance(BOB) == before + round(amount * 0.3)


def test_an_extra_fee_makes_a_node_rentable_only_and_goes_to_the_farmer(grid: Driver) -> None:
    fee = {"node_id": 1, "extra_fee": 30_000}
    refused = grid.call(CHARLIE, S + "set_dedicated_node_extra_fee", **fee)
    assert refused.error == "UnauthorizedToSetExtraFee"
    assert grid.call(ALICE, S + "set_dedicated_node_extra_fee", **fee).ok
    assert _contract(grid, None).error == "NodeNotAvailableToDeploy"
    assert grid.call(CHARLIE, S + "create_rent_contract", node_id=1, solution_provider_id=None).ok
    busy = grid.call(ALICE, S + "set_dedicated_node_extra_fee", **fee)
    assert busy.error == "NodeHasActiveContracts"
    grid.chain.clock_offset_ms += 86_400 * 1000
    grid.call(BOB, S + "bill_contract_for_block", contract_id=1)
    extra = grid.read(S + "ContractLock", 1)["extra_amount_locked"]
    assert abs(extra - 200_000_000) < 10_000  # a day of 30 USD a month at 50 mUSD
    before = grid.balance(ALICE)
    ended = grid.call(CHARLIE, S + "cancel_contract", contract_id=1)
    assert grid.balance(ALICE) == before + extra + ended.fee  # //Alice is the author, too


def test_billing_becomes_rarer_only_and_contracts_keep_their_turn(grid: Driver) -> None:
    assert _contract(grid, None).ok
    assert grid.root(S + "change_billing_frequency", frequency=10) == "CanOnlyIncreaseFrequency"
    assert grid.root(S + "change_billing_frequency", frequency=600) is None
    assert grid.read(S + "ContractsToBillAt", 1) == [1]
    assert grid.call(CHARLIE, S + "cancel_contract", contract_id=1).ok
    assert grid.read(S + "ContractsToBillAt", 1) == []


def _contract(grid: Driver, provider: int | None) -> Any:
    return grid.call(
        CHARLIE,
        S + "create_node_contract",
        node_id=1,
        deployment_hash="0x" + "30" * 32,
        deployment_data="",
        public_ips=1,
        solution_provider_id=provider,
    )
