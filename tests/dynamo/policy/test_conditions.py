"""Conditions answer as the recorded ones did."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from dynamo.dataformat import BlockReplica, ConfigurationError, DatasetReplica, OperationalError, Site
from dynamo.policy.condition import ReplicaCondition, SiteCondition
from dynamo.policy.dates import parse_time
from dynamo.policy.expression import InvalidExpression
from dynamo.policy.partition_file import parse_partitions

from tests.dynamo.policy.recorded_inventory import block_replicas, build, dataset_replicas
from tests.shared import report_count, vectors


def _matching(condition: ReplicaCondition, replicas: dict[str, Any]) -> Any:
    found = sorted(name for name, replica in replicas.items() if condition.match(replica))
    return "ALL" if len(found) == len(replicas) else found


def test_conditions_on_replicas_match_what_was_recorded() -> None:
    policy = vectors("inventory")["policy"]
    inventory = build(policy["inventory_spec"])
    wholes: dict[str, DatasetReplica] = dataset_replicas(inventory)
    parts: dict[str, BlockReplica] = block_replicas(inventory)
    for case in policy["conditions"]:
        ours = case.get("ours")
        text = case["expr"]
        if "error" in case or ours == {"error": True}:
            with pytest.raises(ConfigurationError):
                ReplicaCondition(text)
            continue
        condition = ReplicaCondition(text)
        assert [[kind] for kind in condition.kinds] == case["predicates"], text
        assert condition.required_attrs == sorted(case["required_attrs"]), text
        assert condition.time_condition == case["time_condition"], text
        if ours is not None:
            text = text.split(" from ")[0].split(" until ")[0]
            assert _matching(condition, parts) == _matching(ReplicaCondition(text), parts)
            continue
        assert _matching(condition, wholes) == case["dataset_replicas"], text
        assert _matching(condition, parts) == case["block_replicas"], text
    report_count("conditions", len(policy["conditions"]))


def _site_answers(condition: SiteCondition, owners: dict[str, Any]) -> list[str]:
    found = []
    for name, owner in sorted(owners.items()):
        try:
            if condition.match(owner):
                found.append(name)
        except OperationalError:
            found.append(f"{name} !OperationalError")
    return found


def test_conditions_on_sites_match_what_was_recorded() -> None:
    policy = vectors("inventory")["policy"]
    inventory = build(policy["inventory_spec"])
    sites: dict[str, Site] = dict(inventory.sites.items())
    shares = {name: site.partitions[inventory.partitions["All"]] for name, site in sites.items()}
    for case in policy["site_conditions"]:
        if "error" in case:
            with pytest.raises(ConfigurationError):
                SiteCondition(case["expr"])
            continue
        condition = SiteCondition(case["expr"])
        assert _site_answers(condition, sites) == case["sites"], case["expr"]
        assert _site_answers(condition, shares) == case["site_partitions"], case["expr"]
    report_count("site conditions", len(policy["site_conditions"]))


def test_sizes_and_completeness_match_what_was_recorded() -> None:
    policy = vectors("inventory")["policy"]
    inventory = build(policy["inventory_spec"])
    replicas = dataset_replicas(inventory)
    for name, wanted in policy["derived"].items():
        replica = replicas[name]
        assert {
            "is_complete": replica.is_complete(),
            "is_full": replica.is_full(),
            "is_partial": replica.is_partial(),
            "last_block_created": replica.last_block_created(),
            "size": replica.size(),
            "size_projected": replica.size(physical=False),
        } == wanted, name
    for name, wanted in policy["site_partitions"].items():
        share = inventory.sites[name].partitions[inventory.partitions["All"]]
        for key, fraction in (
            ("occupancy_physical", share.occupancy_fraction()),
            ("occupancy_projected", share.occupancy_fraction(physical=False)),
        ):
            assert fraction == (sys.float_info.max if wanted[key] == "float max" else wanted[key]), name
        assert share.quota == wanted["quota"]
        members = {
            replica.dataset.name: None if part is None else sorted(member.block.name for member in part)
            for replica, part in share.replicas.items()
        }
        assert members == dict(wanted["replicas"]), name
    report_count("derived values", len(policy["derived"]) + len(policy["site_partitions"]))


def test_w6_the_quota_of_a_site_is_a_variable_in_bytes() -> None:
    policy = vectors("inventory")["policy"]
    inventory = build(policy["inventory_spec"])
    share = inventory.sites["T2_A"].partitions[inventory.partitions["All"]]
    assert SiteCondition("site.quota > 9.9e12").match(share)
    assert not SiteCondition("site.quota > 10e12").match(share)


def test_an_error_shows_the_text_and_where_it_is_wrong() -> None:
    text = "dataset.name == /P/* and dataset.colour == red"
    with pytest.raises(
        InvalidExpression, match=r"Unknown variable dataset.colour, at character 26"
    ) as caught:
        ReplicaCondition(text)
    assert caught.value.text == text


def test_a_condition_is_in_force_until_or_from_a_date() -> None:
    policy = vectors("inventory")["policy"]
    replica = next(iter(block_replicas(build(policy["inventory_spec"])).values()))
    everything = "dataset.name == *"
    noon = parse_time("2020-06-01 12:00")
    assert ReplicaCondition(f"{everything} until 2020-06-02", noon).match(replica)
    assert not ReplicaCondition(f"{everything} until 2020-05-31", noon).match(replica)
    assert ReplicaCondition(f"{everything} from 2020-06-01", noon).match(replica)
    assert not ReplicaCondition(f"{everything} from 2020-06-02", noon).match(replica)


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("2018-01-31", "2018-01-31 00:00"),
        ("2018-01-31T10:20:30", "2018-01-31 10:20:30"),
        ("now", "2020-03-31 12:00"),
        ("yesterday", "2020-03-30 12:00"),
        ("90 minutes ago", "2020-03-31 10:30"),
        ("2 weeks ago", "2020-03-17 12:00"),
        ("1 month ago", "2020-02-29 12:00"),
        ("1 year ago", "2019-03-31 12:00"),
    ],
)
def test_times_are_written_as_people_write_them(phrase: str, wanted: str) -> None:
    assert parse_time(phrase, parse_time("2020-03-31 12:00")) == parse_time(wanted)


def test_seconds_since_1970_are_a_time() -> None:
    assert parse_time("@1515974400") == parse_time("2018-01-15")


@pytest.mark.parametrize("phrase", ["", "soon", "2018-13-01", "2018-02-30", "99999 years ago"])
def test_other_texts_are_no_times(phrase: str) -> None:
    with pytest.raises(ConfigurationError, match="ime expression"):
        parse_time(phrase)


def test_a_definition_file_skips_what_does_not_fit_and_names_the_line_that_is_wrong() -> None:
    text = "# words\n\nAll: dataset.name == *\nBoth: [All, Tape]\nTape: site.storage_type == MSS\nno definition\n"
    partitions = parse_partitions(text)
    assert [partition.name for partition in partitions] == ["All", "Both", "Tape"]
    assert partitions[1].union_of == ("All", "Tape")
    with pytest.raises(ConfigurationError, match="Line 2 defines partition Bad"):
        parse_partitions("A: dataset.name == *\nBad: dataset.size == big\n")
