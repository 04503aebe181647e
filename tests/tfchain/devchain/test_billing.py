"""Prices, discounts, grace and the end of contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tfchain.devchain.driver import Driver, person
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.pallets.contracts import pricing
from tfchain.devchain.records import Policy, PricingPolicy, Resources

GIB = 1 << 30
HASH = "0x" + "30" * 32
CHARLIE = person("//Charlie")
_PRICES = [Policy(value, "Gigabytes") for value in (50_000, 100_000, 15_000, 40_000, 2_500, 5_000)]
POLICY = PricingPolicy(
    1,
    1,
    b"",
    _PRICES[0],
    _PRICES[1],
    _PRICES[2],
    _PRICES[3],
    _PRICES[4],
    _PRICES[5],
    bytes(32),
    bytes(32),
    50,
)
RICH = 1 << 60


@pytest.mark.parametrize(
    ("seconds", "unbilled", "due"),
    [(30, 12_500, 106_168), (54, 0, 11_096)],
)
def test_bills_of_a_node_contract_are_those_of_the_real_chain(seconds: int, unbilled: int, due: int) -> None:
    used = Resources(0, 10 * GIB, 1, 2 * GIB)
    cost = pricing.resources_cost(POLICY, used, 1, seconds) + unbilled
    assert pricing.with_discount(pricing.in_tft(cost, 50), seconds, RICH) == pricing.Due(due, "Gold")


def test_bills_of_names_and_traffic_are_those_of_the_real_chain() -> None:
    assert pricing.in_tft(pricing.name_cost(POLICY, 3600), 50) == 50_000
    due = pricing.with_discount(pricing.in_tft(pricing.name_cost(POLICY, 54), 50), 54, RICH)
    assert due == pricing.Due(296, "Gold")
    assert pricing.traffic_cost(POLICY, 10_000_000_000, 300) == 12_500


@pytest.mark.parametrize(
    ("months", "level", "amount"),
    [(18, "Gold", 400), (6, "Silver", 600), (3, "Bronze", 700), (1.5, "Default", 800), (1.4, "None", 1000)],
)
def test_the_discount_follows_how_long_the_balance_lasts(months: float, level: str, amount: int) -> None:
    monthly = 1000 * pricing.MONTH // 3600
    assert pricing.with_discount(1000, 3600, int(monthly * months)) == pricing.Due(amount, level)


def test_a_cancelled_node_contract_pays_frees_and_leaves_nothing(grid: Driver) -> None:
    contract = _contract(grid, public_ips=1)
    _wait(grid, 3600)
    billed = grid.call(CHARLIE, "SmartContractModule.bill_contract_for_block", contract_id=contract)
    amount = billed.of("SmartContractModule")[0][1]["amount_billed"]
    locked = grid.read("System.Account", CHARLIE.address)["data"]["frozen"]
    assert locked == amount > 0
    before = grid.balance(CHARLIE)
    ended = grid.call(CHARLIE, "SmartContractModule.cancel_contract", contract_id=contract)
    assert [name.split(".")[1] for name, _ in ended.of("SmartContractModule")] == [
        "TokensBurned",
        "ContractBilled",
        "IPsFreed",
        "NodeContractCanceled",
    ]
    assert grid.balance(CHARLIE) == before - locked - ended.fee
    assert grid.read("Balances.Locks", CHARLIE.address) == []
    assert grid.read("SmartContractModule.Contracts", contract) is None
    assert grid.read("SmartContractModule.ActiveNodeContracts", 1) == []
    assert grid.read("SmartContractModule.ContractIDByNodeIDAndHash", 1, HASH) == 0
    assert grid.read("TfgridModule.Farms", 1)["public_ips"][0]["contract_id"] == 0


def test_reserved_addresses_are_not_given_twice(grid: Driver) -> None:
    _contract(grid, public_ips=1)
    again = _create(grid, HASH.replace("30", "31"), 1)
    assert again.error == "FarmHasNotEnoughPublicIPsFree"
    assert _create(grid, HASH.replace("30", "31"), 2).error == "FarmHasNotEnoughPublicIPs"
    removed = grid.call(person("//Alice"), "TfgridModule.remove_farm_ip", farm_id=1, ip="185.206.122.33/24")
    assert removed.error == "IpNotExists"


@pytest.fixture
def poor(grid: Driver) -> tuple[Driver, int]:
    """A contract of //Poor, who can pay for a short time only."""
    user = person("//Poor")
    grid.call(person("//Alice"), "Balances.transfer", dest=user.address, value=300_000)
    grid.make_twin(user)
    made = grid.call(user, "SmartContractModule.create_name_contract", name="mysite")
    return grid, made.of("SmartContractModule")[0][1]["contract_id"]


def test_who_cannot_pay_enters_grace_and_leaves_it_when_paid_up(poor: tuple[Driver, int]) -> None:
    grid, contract = poor
    _wait(grid, 24 * 3600)
    started = _bill(grid, contract)
    assert [event[0] for event in started] == ["SmartContractModule.ContractGracePeriodStarted"]
    assert started[0][1]["node_id"] == 0
    state = grid.read("SmartContractModule.Contracts", contract)["state"]
    assert state == {"GracePeriod": started[0][1]["block_number"]}
    grid.call(person("//Alice"), "Balances.transfer", dest=person("//Poor").address, value=100_000_000)
    _wait(grid, 60)
    ended = _bill(grid, contract)
    assert [event[0].split(".")[1] for event in ended] == ["ContractGracePeriodEnded", "ContractBilled"]
    assert grid.read("SmartContractModule.Contracts", contract)["state"] == "Created"


def test_grace_that_runs_out_ends_the_contract(poor: tuple[Driver, int]) -> None:
    grid, contract = poor
    _wait(grid, 24 * 3600)
    _bill(grid, contract)
    grid.chain.set_grace_blocks(2)
    grid.chain.seal()
    _wait(grid, 60)
    names = [event[0].split(".")[1] for event in _bill(grid, contract)]
    assert names[-2:] == ["ContractBilled", "NameContractCanceled"]
    assert grid.read("SmartContractModule.ContractIDByNameRegistration", "mysite") == 0


def test_grace_of_a_rented_node_is_the_grace_of_what_runs_on_it(grid: Driver) -> None:
    user = person("//Poor")
    grid.call(person("//Alice"), "Balances.transfer", dest=user.address, value=400_000)
    grid.make_twin(user)
    rent = grid.call(
        user, "SmartContractModule.create_rent_contract", node_id=1, solution_provider_id=None
    ).of("SmartContractModule")[0][1]["contract_id"]
    assert _create(grid, HASH, 0).error == "NodeNotAvailableToDeploy"
    inner = _create(grid, HASH, 0, user).of("SmartContractModule")[0][1]["contract_id"]
    _wait(grid, 24 * 3600)
    events = _bill(grid, rent)
    assert [event[1]["contract_id"] for event in events] == [rent, inner]
    assert {event[0].split(".")[1] for event in events} == {"ContractGracePeriodStarted"}


def test_traffic_is_counted_once_in_grace_too(grid: Driver) -> None:
    user = person("//Poor")
    grid.call(person("//Alice"), "Balances.transfer", dest=user.address, value=400_000)
    grid.make_twin(user)
    contract = _create(grid, HASH, 0, user).of("SmartContractModule")[0][1]["contract_id"]
    traffic = {"contract_id": contract, "timestamp": 1 << 40, "window": 3600, "nru": 10**12}
    assert grid.call(person("//Bob"), "SmartContractModule.add_nru_reports", reports=[traffic]).ok
    assert [name for name, _ in _bill(grid, contract)] == ["SmartContractModule.ContractGracePeriodStarted"]
    owed = grid.read("SmartContractModule.ContractLock", contract)["amount_locked"]
    assert owed > 0
    for _ in range(3):
        _wait(grid, 60)
        _bill(grid, contract)
    assert grid.read("SmartContractModule.ContractLock", contract)["amount_locked"] == owed


def test_a_rent_that_ends_for_want_of_money_takes_what_runs_on_the_node_along(grid: Driver) -> None:
    user = person("//Poor")
    grid.call(person("//Alice"), "Balances.transfer", dest=user.address, value=400_000)
    grid.make_twin(user)
    rent = grid.call(
        user, "SmartContractModule.create_rent_contract", node_id=1, solution_provider_id=None
    ).of("SmartContractModule")[0][1]["contract_id"]
    inner = _create(grid, HASH, 1, user).of("SmartContractModule")[0][1]["contract_id"]
    grid.chain.set_grace_blocks(1)
    _wait(grid, 24 * 3600)
    _bill(grid, rent)
    _wait(grid, 60)
    names = [name.split(".")[1] for name, _ in _bill(grid, rent)]
    ends = ["IPsFreed", "NodeContractCanceled", "RentContractCanceled"]
    assert [name for name in names if name in ends] == ends
    for contract in (rent, inner):
        assert grid.read("SmartContractModule.Contracts", contract) is None
    assert grid.read("SmartContractModule.ActiveNodeContracts", 1) == []
    assert grid.read("TfgridModule.Farms", 1)["public_ips"][0]["contract_id"] == 0


def test_blocks_bill_the_contracts_whose_turn_it_is(tmp_path: Path) -> None:
    driver = Driver(tmp_path, Genesis(billing_frequency=2), bills=True)
    try:
        driver.make_twin(CHARLIE)
        driver.call(CHARLIE, "SmartContractModule.create_name_contract", name="mysite")
        _wait(driver, 3600)
        finals = []
        for _ in range(2):
            built = driver.chain.seal()
            finals += [each for each in driver.records(built) if each["phase"] == "Finalization"]
        names = [next(iter(record["event"]["SmartContractModule"])) for record in finals if
                 "SmartContractModule" in record["event"]]  # fmt: skip
        assert names == ["ContractBilled"]
    finally:
        driver.close()


def test_a_node_that_leaves_takes_its_contracts_with_it(grid: Driver) -> None:
    _contract(grid, public_ips=1)
    gone = grid.call(person("//Alice"), "TfgridModule.delete_node_farm", node_id=1)
    names = [name.split(".")[1] for name, _ in gone.of("SmartContractModule", "TfgridModule")]
    assert names == ["ContractBilled", "IPsFreed", "NodeContractCanceled", "NodeDeleted"]
    assert grid.read("TfgridModule.NodeIdByTwinID", 2) == 0


def _create(grid: Driver, digest: str, public_ips: int, who: Any = CHARLIE) -> Any:
    return grid.call(
        who,
        "SmartContractModule.create_node_contract",
        node_id=1,
        deployment_hash=digest,
        deployment_data="",
        public_ips=public_ips,
        solution_provider_id=None,
    )


def _contract(grid: Driver, public_ips: int) -> int:
    made = _create(grid, HASH, public_ips)
    assert made.ok
    number: int = made.of("SmartContractModule")[0][1]["contract_id"]
    return number


def _bill(grid: Driver, contract: int) -> list[list[Any]]:
    return grid.call(
        person("//Alice"), "SmartContractModule.bill_contract_for_block", contract_id=contract
    ).of("SmartContractModule")


def _wait(grid: Driver, seconds: int) -> None:
    grid.chain.clock_offset_ms += seconds * 1000
