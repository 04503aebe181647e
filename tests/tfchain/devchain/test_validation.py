"""Which texts and numbers the chain takes: the recorded answers of the real one, and cases from bug reports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shared import cases, report_count, vectors
from tests.tfchain.devchain.driver import NODE, Driver, person
from tfchain.devchain.validity import Refused


def test_every_recorded_validation_comes_out_the_same(grid: Driver) -> None:
    rows = vectors("tfchain")["validation_blackbox"]["rows"]
    seen = []
    for row in rows:
        # Rows of one label build on each other; calls of the farmer and of the node are told apart by their name.
        signer = "//Bob" if row["call"] == "update_node" else "//Alice"
        if row["result"] == "CannotUpdateFarmWrongTwin":
            signer = "//Bob"
        outcome = grid.call(person(signer), f"TfgridModule.{row['call']}", **row["args"])
        result = "ok" if outcome.ok else outcome.error
        expected = row["result"]
        if _gateway_is_address(row["args"]):  # refused from spec version 146 on
            expected = "InvalidPublicIP"
        if result != expected:
            seen.append((row["label"], row["args"], result, expected))
    report_count("tfchain validation", len(rows))
    assert not seen


def _gateway_is_address(arguments: dict[str, Any]) -> bool:
    return "gw" in arguments and arguments["ip"].split("/")[0] == arguments["gw"]


def test_b024_an_address_without_a_good_prefix_never_gets_into_a_farm(grid: Driver) -> None:
    case = cases("B024")
    _compare(
        "B024",
        [
            grid.call(person("//Alice"), "TfgridModule.add_farm_ip", farm_id=1, ip=ip, gw=gateway)
            for ip, gateway in case["input"]["rows"]
        ],
        case["expected"]["results"],
    )


def test_b026_addresses_of_private_use_are_not_public(grid: Driver) -> None:
    case = cases("B026")
    outcomes = []
    for network in case["input"]["networks"]:
        gateway = network.rsplit(".", 1)[0] + ".1"
        outcomes.append(
            grid.call(person("//Alice"), "TfgridModule.add_farm_ip", farm_id=1, ip=network, gw=gateway)
        )
    _compare("B026", outcomes, case["expected"]["results"])


def test_b029_farm_names(grid: Driver) -> None:
    case = cases("B029")
    outcomes = [
        grid.call(person("//Alice"), "TfgridModule.create_farm", name=name, public_ips=[])
        for name in case["input"]["names"]
    ]
    _compare("B029", outcomes, case["expected"]["results"])


def test_b037_towns_of_every_script_can_have_nodes(grid: Driver) -> None:
    case = cases("B037")
    for number, (city, expected) in enumerate(
        zip(case["input"]["cities"], case["expected"]["chain"], strict=True)
    ):
        owner = person(f"//Node{number}")
        grid.call(person("//Alice"), "Balances.transfer", dest=owner.address, value=10_000_000)
        grid.make_twin(owner)
        arguments = {**NODE, "location": {**NODE["location"], "city": city}}
        if expected.startswith("refused"):
            before = grid.balance(owner)
            with pytest.raises(Refused, match="at most 58") as refusal:
                grid.call(owner, "TfgridModule.create_node", **arguments)
            assert refusal.value.code == 1001
            assert grid.balance(owner) == before
            continue
        outcome = grid.call(owner, "TfgridModule.create_node", **arguments)
        assert ("ok" if outcome.ok else outcome.error) == expected, city
    report_count("B037", len(case["input"]["cities"]))


def test_b038_relay_texts(grid: Driver) -> None:
    case = cases("B038")
    outcomes = [
        grid.call(person("//Charlie"), "TfgridModule.update_twin", relay=relay, pk=None)
        for relay in case["input"]["relays"]
    ]
    _compare("B038", outcomes, case["expected"]["results"])


LONG: list[tuple[str, dict[str, Any]]] = [
    ("TfgridModule.user_accept_tc", {"document_link": "x" * 2049, "document_hash": "a"}),
    ("TfgridModule.user_accept_tc", {"document_link": "x", "document_hash": "a" * 51}),
    ("TfgridModule.create_twin", {"relay": "r" * 1025, "pk": None}),
    ("TfgridModule.create_twin", {"relay": None, "pk": "0x" + "02" * 129}),
    ("TfgridModule.create_farm", {"name": "f" * 41, "public_ips": []}),
    (
        "TfgridModule.create_farm",
        {"name": "farm", "public_ips": [{"ip": "1.2.3.4/24", "gw": "1.2.3.1"}] * 513},
    ),
    ("TfgridModule.add_farm_ip", {"farm_id": 1, "ip": "1" * 19, "gw": "1.2.3.1"}),
    ("TfgridModule.add_farm_ip", {"farm_id": 1, "ip": "1.2.3.4/24", "gw": "1" * 16}),
    ("TfgridModule.create_node", {**NODE, "interfaces": NODE["interfaces"] * 11}),
    ("TfgridModule.create_node", {**NODE, "interfaces": [{"name": "n" * 21, "mac": "m" * 17, "ips": []}]}),
    ("TfgridModule.create_node", {**NODE, "interfaces": [{"name": "zos", "mac": "m" * 18, "ips": []}]}),
    (
        "TfgridModule.create_node",
        {**NODE, "interfaces": [{"name": "zos", "mac": "m" * 17, "ips": ["1"] * 11}]},
    ),
    ("TfgridModule.create_node", {**NODE, "interfaces": [{"name": "zos", "mac": "m", "ips": ["1" * 43]}]}),
    ("TfgridModule.create_node", {**NODE, "serial_number": "s" * 129}),
    ("TfgridModule.create_node", {**NODE, "location": {**NODE["location"], "country": "c" * 57}}),
    ("TfgridModule.create_node", {**NODE, "location": {**NODE["location"], "latitude": "1" * 51}}),
    (
        "TfgridModule.add_node_public_config",
        {
            "farm_id": 1,
            "node_id": 1,
            "public_config": {
                "ip4": {"ip": "1.2.3.4/24", "gw": "1.2.3.1"},
                "ip6": {"ip": "1" * 44, "gw": "::1"},
                "domain": None,
            },
        },
    ),
    (
        "TfgridModule.add_node_public_config",
        {
            "farm_id": 1,
            "node_id": 1,
            "public_config": {
                "ip4": {"ip": "1.2.3.4/24", "gw": "1.2.3.1"},
                "ip6": None,
                "domain": "d" * 129,
            },
        },
    ),
    (
        "SmartContractModule.create_node_contract",
        {
            "node_id": 1,
            "deployment_hash": "0x" + "30" * 32,
            "deployment_data": "d" * 513,
            "public_ips": 0,
            "solution_provider_id": None,
        },
    ),
]


@pytest.mark.parametrize(("call", "arguments"), LONG, ids=[str(number) for number in range(len(LONG))])
def test_a_text_over_its_limit_is_refused_at_submission_and_costs_nothing(
    driver: Driver, call: str, arguments: dict[str, Any]
) -> None:
    alice = person("//Alice")
    before = driver.balance(alice)
    with pytest.raises(Refused, match="at most") as refusal:
        driver.call(alice, call, **arguments)
    assert refusal.value.code == 1001
    assert driver.balance(alice) == before


def _compare(name: str, outcomes: list[Any], expected: list[str]) -> None:
    assert ["ok" if outcome.ok else outcome.error for outcome in outcomes] == expected
    report_count(name, len(expected))
