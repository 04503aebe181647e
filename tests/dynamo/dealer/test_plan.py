"""The dealer's limits, and what its plugins propose."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.core.registry.access import Registry
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    Group,
    Partition,
    Site,
    SitePartition,
)
from dynamo.dealer.application import carry_out
from dynamo.dealer.config import DealerConfig
from dynamo.dealer.plan import TB, Plan, Planner
from dynamo.dealer.plugins.balancer import Balancer
from dynamo.dealer.plugins.enforcer import Enforcer
from dynamo.dealer.plugins.groupreassign import GroupReassign
from dynamo.dealer.plugins.popularity import Popularity
from dynamo.dealer.plugins.requests import CopyRequests
from dynamo.dealer.plugins.undertaker import Undertaker
from dynamo.dealer.proposal import Proposal, View
from dynamo.fileop.rlfsm import RLFSM
from dynamo.policy.partition_file import parse_partitions


def inventory(quota: int = 100) -> ObjectRepository:
    """Sites S1 to S4 with a quota in TB; /D1 to /D4 of 10 TB in two blocks, all at S1 only."""
    found = ObjectRepository()
    found.define_partitions(parse_partitions("All: dataset.name == *"))
    for group in ("g", "h"):
        found.update(Group(group))
    for number in range(1, 5):
        found.update(Site(f"S{number}", status="ready"))
        found.update(SitePartition(f"S{number}", "All", quota * TB))
    for number in range(1, 5):
        name = f"/D{number}"
        found.update(Dataset(name, "valid"))
        found.update(DatasetReplica(name, "S1", True, "g"))
        for block in ("a", "b"):
            found.update(Block(block, name, size=5 * TB))
            found.update(BlockReplica(f"{name}#{block}", "S1", "g"))
    return found


def partition(found: ObjectRepository) -> Partition:
    return found.partitions["All"]


def plan(found: ObjectRepository, proposals: list[Proposal], seed: int = 1, **limits: Any) -> Plan:
    limits = {"max_site_pending_fraction": 1.0, **limits}
    config = DealerConfig(partition_name="All", group_name="g", plugins={}, **limits)
    planner = Planner(config, partition(found), found.groups["g"], random.Random(seed))
    return planner.plan({"p": proposals}, {})


def view(found: ObjectRepository, answers: dict[str, Any] | None = None) -> View:
    def answer(name: str, args: dict[str, Any]) -> Any:
        return (answers or {})[name]

    config = DealerConfig(partition_name="All", group_name="g", plugins={}, target_sites=["*", "!S4"])
    planner = Planner(config, partition(found), found.groups["g"], random.Random(1))
    return View(found, partition(found), found.groups["g"], planner.is_target, Registry(answer), 0.0)


def copies(found: Plan) -> list[tuple[str, str]]:
    return [(str(copy.proposal), copy.site.name) for copy in found.copies]


def test_the_last_pattern_that_fits_says_whether_a_site_gets_copies() -> None:
    found = inventory()
    proposals = [Proposal(found.datasets["/D1"]), Proposal(found.datasets["/D2"])]
    for seed in range(10):
        chosen = copies(plan(found, proposals, seed, target_sites=["S*", "!S3", "!S4"]))
        assert chosen == [("/D1", "S2"), ("/D2", "S2")]
    assert copies(plan(found, proposals, target_sites=["*", "!*", "S4"])) == [("/D1", "S4"), ("/D2", "S4")]


def test_a_site_is_filled_up_to_its_occupancy_and_to_its_pending_volume() -> None:
    found = inventory(quota=40)
    proposals = [Proposal(found.datasets[f"/D{number}"]) for number in range(1, 5)]
    only = {"target_sites": ["S2"]}
    assert len(plan(found, proposals, target_site_occupancy=0.5, **only).copies) == 2
    done = plan(found, proposals, max_site_pending_fraction=0.25, **only)
    assert len(done.copies) == 1
    assert {reason for _, _, reason in done.dropped} == {"no site has room for it, or all have it"}


def test_the_volume_of_a_cycle_is_a_limit() -> None:
    found = inventory()
    proposals = [Proposal(found.datasets[f"/D{number}"]) for number in range(1, 5)]
    done = plan(found, proposals, max_total_cycle_volume=15)
    assert len(done.copies) == 2
    assert {reason for _, _, reason in done.dropped} == {"the volume of the cycle is used up"}


def test_what_has_no_source_or_is_not_valid_or_is_there_is_dropped() -> None:
    found = inventory()
    found.update(Dataset("/Bad", "deprecated"))
    found.update(Dataset("/Gone", "production"))
    found.update(Block("a", "/Gone", size=TB))
    here = Proposal(found.datasets["/D1"], destination=found.sites["S1"])
    twice = Proposal(found.datasets["/D2"], destination=found.sites["S2"])
    asked = Proposal(found.datasets["/D3"], destination=found.sites["S3"], allowed=[found.sites["S2"]])
    done = plan(
        found,
        [Proposal(found.datasets["/Bad"]), Proposal(found.datasets["/Gone"]), here, twice, twice, asked],
    )
    assert copies(done) == [("/D2", "S2")]
    assert [reason for _, _, reason in done.dropped] == [
        "its status is deprecated",
        "nobody has all of it",
        "S1 has it already",
        "S2 has it already",
        "S3 was not asked for",
    ]


def test_plugins_are_drawn_by_the_inverse_of_their_priority_and_zero_first() -> None:
    found = inventory()
    config = DealerConfig(partition_name="All", group_name="g", plugins={}, max_total_cycle_volume=10)
    firsts = {"often": 0, "seldom": 0}
    for seed in range(200):
        planner = Planner(config, partition(found), found.groups["g"], random.Random(seed))
        proposals = {
            "often": [Proposal(found.datasets["/D1"])],
            "seldom": [Proposal(found.datasets["/D2"])],
        }
        firsts[planner.plan(proposals, {"often": 1, "seldom": 9}).copies[0].plugin] += 1
        planner = Planner(config, partition(found), found.groups["g"], random.Random(seed))
        assert planner.plan(proposals, {"often": 1, "seldom": 0}).copies[0].plugin == "seldom"
    assert firsts["often"] > 3 * firsts["seldom"] > 0


def test_sites_are_drawn_by_their_room() -> None:
    found = inventory()
    found.update(SitePartition("S3", "All", 0))
    found.update(SitePartition("S4", "All", 50 * TB))
    for number in range(2, 5):
        found.update(DatasetReplica(f"/D{number}", "S4", True, "g"))
        for block in ("a", "b"):
            found.update(BlockReplica(f"/D{number}#{block}", "S4", "g"))
    drawn = [copies(plan(found, [Proposal(found.datasets["/D1"])], seed))[0][1] for seed in range(200)]
    assert set(drawn) == {"S2", "S4"}
    assert drawn.count("S2") > drawn.count("S4")


def test_a_plan_makes_empty_replicas_that_grow() -> None:
    found = inventory()
    block = found.datasets["/D2"].find_block("a", must_find=True)
    assert block is not None
    target = found.sites["S2"]
    proposals = [
        Proposal(found.datasets["/D1"], destination=target),
        Proposal(found.datasets["/D2"], (block,), target, found.groups["h"]),
    ]
    carry_out(found, plan(found, proposals).copies, RLFSM(Registry()))
    whole, part = (found.datasets[name].find_replica("S2", must_find=True) for name in ("/D1", "/D2"))
    assert whole is not None
    assert part is not None
    assert (whole.growing, whole.group.name, whole.size()) == (True, "g", 0)
    assert (part.growing, [member.block.name for member in part.block_replicas]) == (False, ["a"])
    assert {member.group.name for member in part.block_replicas} == {"h"}
    assert (whole.size(physical=False), part.size(physical=False)) == (10 * TB, 5 * TB)


def test_the_undertaker_saves_what_only_leaving_sites_have() -> None:
    found = inventory()
    found.update(Site("S1", status="morgue"))
    found.update(DatasetReplica("/D1", "S2", True, "g"))
    for block in ("a", "b"):
        found.update(BlockReplica(f"/D1#{block}", "S2", "g"))
    proposals = Undertaker({}).proposals(view(found))
    assert [str(proposal) for proposal in proposals] == ["/D2", "/D3", "/D4"]


def test_the_enforcer_asks_for_the_copies_that_are_missing() -> None:
    rule = {
        "num_copies": 2,
        "destinations": ["site.name in [S1 S2 S3]"],
        "target_datasets": ["dataset.name in [/D1 /D2]"],
    }
    found = inventory()
    found.update(DatasetReplica("/D1", "S2", True, "g"))
    proposals = Enforcer({"rules": {"two": rule}}).proposals(view(found))
    assert [str(proposal) for proposal in proposals] == ["/D2"]
    assert [site.name for site in proposals[0].allowed or ()] == ["S1", "S2", "S3"]


def test_popular_datasets_get_copies_by_their_weight() -> None:
    found = inventory()
    found.datasets["/D1"].attr["request_weight"] = 4.0
    found.datasets["/D2"].attr["request_weight"] = 9.0
    proposals = Popularity({"request_to_replica_threshold": 2, "max_replicas": 3}).proposals(view(found))
    assert [str(proposal) for proposal in proposals] == ["/D2", "/D2", "/D1"]


def test_the_balancer_takes_what_detox_protected_where_there_is_most() -> None:
    rows = [
        {"decision": word, "site": site, "dataset": name, "size": 10 * TB, "line": "Protect x"}
        for word, site, name in (
            ("protect", "S1", "/D1"),
            ("protect", "S1", "/D2"),
            ("delete", "S1", "/D3"),
            ("protect", "S2", "/D4"),
        )
    ]
    answers = {"cycles.listed": [{"cycle": 1}], "cycles.decisions": rows}
    proposals = Balancer({}).proposals(view(inventory(), answers))
    assert [str(proposal) for proposal in proposals] == ["/D1", "/D2", "/D4"]
    assert Balancer({"target_reasons": ["Protect y"]}).proposals(view(inventory(), answers)) == []
    assert Balancer({"max_dataset_size": 1}).proposals(view(inventory(), answers)) == []


def test_groups_are_changed_where_the_data_are() -> None:
    found = inventory()
    proposals = GroupReassign({"from_groups": ["g"], "to_group": "h"}).proposals(view(found))
    done = plan(found, proposals)
    assert copies(done) == [(f"/D{number}", "S1") for number in range(1, 5)]
    carry_out(found, done.copies, RLFSM(Registry()))
    owners = {member.group.name for member in found.datasets["/D1"].find_replica("S1").block_replicas}  # type: ignore[union-attr]  # it is there
    assert owners == {"h"}


REQUEST = {
    "request_id": 7, "status": "new", "group": "h", "n": 1, "item": ["/D1"], "site": ["S2", "S3"],
    "user": "jane", "dn": "/CN=jane", "first_request": 5, "last_request": 6, "request_count": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, [("/D1", None)]),
        ({"n": 2}, [("/D1", None), ("/D1", None)]),
        ({"n": 0}, [("/D1", "S2"), ("/D1", "S3")]),
        ({"item": ["/D1#a"]}, [("/D1#a", None)]),
        ({"item": ["/D1#a", "/D1#b"]}, [("/D1", None)]),
        ({"site": ["S1"]}, "completed"),
        ({"group": "nobody"}, "Unknown group nobody"),
        ({"item": ["/Nothing"]}, "Unknown item /Nothing"),
        ({"item": ["/D1#c"]}, "Unknown item /D1#c"),
        ({"site": ["S4", "S9"]}, "None of the sites gets copies"),
        ({"item": ["/D1", "/D2", "/D3", "/D4"]}, "It has more than 30 TB"),
    ],
)
def test_requests_become_proposals_or_are_rejected_with_a_reason(change: dict[str, Any], wanted: Any) -> None:
    seen = view(inventory(), {"requests.find": [{**REQUEST, **change}]})
    proposals = CopyRequests({"max_size": 30, "block_request_max": 0.6}).proposals(seen)
    if isinstance(wanted, list):
        found = [(str(item), item.destination and item.destination.name) for item in proposals]
        assert found == wanted
        assert {(item.request_id, item.group and item.group.name) for item in proposals} == {(7, "h")}
        return
    assert proposals == []
    ((name, args),) = seen.notes
    assert (name, args["request_id"]) == ("requests.close", 7)
    assert wanted in (args["status"], args.get("reason"))


def test_progress_of_requests_is_noted() -> None:
    found = inventory()
    actions = [{"item": "/D1", "site": site, "status": "new", "updated": 7} for site in ("S1", "S2", "S9")]
    seen = view(found, {"requests.find": [{**REQUEST, "status": "activated", "active": actions}]})
    assert CopyRequests({}).proposals(seen) == []
    assert {note.args["site"]: note.args["status"] for note in seen.notes} == {
        "S1": "completed",
        "S2": "queued",
        "S9": "failed",
    }
