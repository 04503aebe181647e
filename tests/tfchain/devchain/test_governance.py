"""Calls of root and the council, and entities."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tfchain.devchain.driver import NODE, Driver, person
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
