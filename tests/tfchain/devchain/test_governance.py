"""Calls of root and the council, and entities."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tfchain.devchain.driver import NODE, Driver, person
from tfchain.devchain.pallets import tft_price
from tfchain.keys import Identity

ALICE, BOB, CHARLIE = person("//Alice"), person("//Bob"), person("//Charlie")
POLICY: dict[str, Any] = {
    "name": "gold",
    "su": 1,
    "cu": 2,
    "nu": 3,
    "ipv4": 4,
    "minimal_uptime": 95,
    "policy_end": 0,
    "default": False,
    "node_certification": "Diy",
    "farm_certification": "NotCertified",
}


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("set_farm_dedicated", {"farm_id": 1, "dedicated": True}),
        ("set_farm_certification", {"farm_id": 1, "certification": "Gold"}),
        ("set_connection_price", {"price": 1}),
        ("set_zos_version", {"zos_version": "v3"}),
        ("create_farming_policy", {**POLICY, "immutable": False}),
        ("attach_policy_to_farm", {"farm_id": 1, "limits": None}),
    ],
)
def test_ordinary_accounts_may_not_and_root_may(grid: Driver, call: str, arguments: dict[str, Any]) -> None:
    assert grid.call(ALICE, f"TfgridModule.{call}", **arguments).error == "BadOrigin"
    assert grid.root(f"TfgridModule.{call}", **arguments) is None


def test_a_council_vote_carries_a_call_out(grid: Driver) -> None:
    proposal = {"TfgridModule": {"set_connection_price": {"price": 9}}}
    encoded = grid.encode_call("TfgridModule.set_connection_price", {"price": 9})
    propose = {"threshold": 2, "proposal": proposal, "length_bound": len(encoded)}
    proposed = grid.submit(grid.sign(ALICE, _council(grid, "propose", propose)))
    digest = proposed.of("Council")[0][1]["proposal_hash"]
    raw = bytes.fromhex(digest[2:])
    for member in (ALICE, BOB):
        vote = {"proposal": raw, "index": 0, "approve": True}
        assert grid.submit(grid.sign(member, _council(grid, "vote", vote))).ok
    close = {
        "proposal_hash": raw,
        "index": 0,
        "proposal_weight_bound": {"ref_time": 10**9, "proof_size": 10**6},
        "length_bound": len(encoded),
    }
    closed = grid.submit(grid.sign(CHARLIE, _council(grid, "close", close)))
    assert closed.of("Council")[-1][1]["result"] == {"Ok": []}
    assert grid.read("TfgridModule.ConnectionPrice") == 9


def test_one_member_of_two_is_not_the_council(grid: Driver) -> None:
    proposal = {"TfgridModule": {"set_connection_price": {"price": 9}}}
    propose = {"threshold": 1, "proposal": proposal, "length_bound": 100}
    outcome = grid.submit(grid.sign(ALICE, _council(grid, "propose", propose)))
    assert outcome.ok
    assert outcome.of("Council")[-1][1]["result"] == {"Err": "BadOrigin"}
    assert grid.submit(grid.sign(CHARLIE, _council(grid, "propose", propose))).error == "NotMember"


def test_nodes_are_certified_by_certifiers_and_lose_it_when_they_change(grid: Driver) -> None:
    certify = {"node_id": 1, "node_certification": "Certified"}
    refused = grid.call(CHARLIE, "TfgridModule.set_node_certification", **certify)
    assert refused.error == "NotAllowedToCertifyNode"
    assert grid.root("TfgridModule.add_node_certifier", certifier=CHARLIE.address) is None
    assert grid.root("TfgridModule.add_node_certifier", certifier=CHARLIE.address) == "AlreadyCertifier"
    assert grid.call(CHARLIE, "TfgridModule.set_node_certification", **certify).ok
    bigger = {**NODE, "node_id": 1, "resources": {**NODE["resources"], "cru": 9}}
    changed = grid.call(BOB, "TfgridModule.update_node", **bigger)
    assert [name.split(".")[1] for name, _ in changed.of("TfgridModule")] == [
        "NodeCertificationSet",
        "NodeUpdated",
    ]
    assert grid.read("TfgridModule.Nodes", 1)["certification"] == "Diy"


def test_a_farm_with_limits_uses_them_up(grid: Driver) -> None:
    limits = {
        "farming_policy_id": 2,
        "cu": None,
        "su": None,
        "end": None,
        "node_count": 1,
        "node_certification": False,
    }
    assert grid.root("TfgridModule.attach_policy_to_farm", farm_id=1, limits=limits) is None
    assert grid.read("TfgridModule.Nodes", 1)["farming_policy_id"] == 2
    policies = []
    for who in (ALICE, CHARLIE):
        made = grid.call(who, "TfgridModule.create_node", **NODE)
        policies.append(made.of("TfgridModule")[-1][1]["farming_policy_id"])
    assert policies == [2, 1]
    assert grid.read("TfgridModule.Farms", 1)["farming_policy_limits"]["node_count"] == 0


@pytest.mark.parametrize("kind", ["ed25519", "sr25519"])
def test_an_entity_vouches_for_a_twin(grid: Driver, kind: Any) -> None:
    entity = Identity.generate(kind)
    signature = entity.sign(b"Acme" + b"Belgium" + b"Ghent").hex()
    arguments = {"target": entity.address, "name": "Acme", "country": "Belgium", "city": "Ghent"}
    create = "TfgridModule.create_entity"
    assert grid.call(ALICE, create, **arguments, signature="00").error == "SignatureLengthIsIncorrect"
    wrong = grid.call(ALICE, create, **arguments, signature="00" * 64)
    assert wrong.error == "EntitySignatureDoesNotMatch"
    assert grid.call(ALICE, create, **arguments, signature=signature).ok
    word = entity.sign((1).to_bytes(4, "big") + (3).to_bytes(4, "big")).hex()
    add = {"twin_id": 3, "entity_id": 1, "signature": word}
    assert grid.call(ALICE, "TfgridModule.add_twin_entity", **add).error == "UnauthorizedToUpdateTwin"
    assert grid.call(CHARLIE, "TfgridModule.add_twin_entity", **add).ok
    assert grid.read("TfgridModule.Twins", 3)["entities"] == [{"entity_id": 1, "signature": word}]
    assert grid.call(CHARLIE, "TfgridModule.delete_twin_entity", twin_id=3, entity_id=1).ok


def _council(grid: Driver, call: str, arguments: dict[str, Any]) -> bytes:
    return grid.plain.codec.encode(grid.interface.call_type, {"Council": {call: arguments}})


def test_who_makes_blocks_sets_the_price_and_the_average_is_billed(grid: Driver) -> None:
    assert (
        grid.call(BOB, "TFTPriceModule.set_prices", price=60, block_number=1).error
        == "AccountUnauthorizedToSetPrice"
    )
    averages = []
    for price in (60, 100, 2000):
        done = grid.call(ALICE, "TFTPriceModule.set_prices", price=price, block_number=1)
        assert done.ok
        averages.append({name: value for name, value in done.of("TFTPriceModule")})
    assert averages[1] == {"TFTPriceModule.PriceStored": 100, "TFTPriceModule.AveragePriceStored": 80}
    assert averages[2]["TFTPriceModule.AveragePriceStored"] == 720
    assert grid.root("TFTPriceModule.set_max_tft_price", price=500) is None
    done = grid.call(ALICE, "TFTPriceModule.set_prices", price=720, block_number=2)
    assert done.of("TFTPriceModule")[-1] == ["TFTPriceModule.AveragePriceIsAboveMaxPrice", [720, 500]]
    assert grid.root("TFTPriceModule.set_min_tft_price", price=500) is not None


def test_the_history_of_prices_is_a_ring(grid: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tft_price, "KEPT_PRICES", 3)
    for price in (10, 20, 30, 40, 50):
        done = grid.call(ALICE, "TFTPriceModule.set_prices", price=price, block_number=1)
    assert done.of("TFTPriceModule")[1] == ["TFTPriceModule.AveragePriceStored", 40]


def test_burnt_units_are_gone(grid: Driver) -> None:
    before = grid.read("Balances.TotalIssuance")
    assert grid.call(BOB, "BurningModule.burn_tft", amount=1 << 100, message="x").error == (
        "NotEnoughBalanceToBurn"
    )
    done = grid.call(BOB, "BurningModule.burn_tft", amount=5000, message="for stellar")
    assert done.of("BurningModule")[0][1][1] == 5000
    assert grid.read("Balances.TotalIssuance") == before - 5000
    assert len(grid.read("BurningModule.Burns")) == 1
