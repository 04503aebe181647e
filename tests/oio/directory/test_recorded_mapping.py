"""Bootstrap, decommission, rebalance and the choice of services, against what the original package does.

Which bases move is left to chance there; what is compared are counts, limits and what must never happen.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest

from oio.common.exceptions import OioException, PreconditionFailed
from oio.directory import locations
from oio.directory.mapping.bootstrap import LEVELS
from oio.directory.mapping.placement import changes
from oio.directory.meta0 import Meta0PrefixMapping
from tests.oio.directory.services_in_memory import (
    by_base,
    histogram,
    mapping_of,
    section,
    service_set,
    violations,
)
from tests.shared import report_count


def slices_of(mapping: Meta0PrefixMapping, level: str) -> list[list[str]]:
    """Keys of the services, by place of this level."""
    depth = LEVELS.index(level) + 1
    found: dict[Any, list[str]] = {}
    for key in mapping.services:
        tokens = locations.complete(mapping.get_loc(key))
        assert tokens is not None
        found.setdefault(tokens[:depth], []).append(key)
    return [found[place] for place in sorted(found)]


def test_bootstrap_assigns_as_recorded() -> None:
    cases = section("bootstrap")
    for case in cases:
        given = case["input"]
        services = service_set(given["service_set"])
        mapping = mapping_of(services, replicas=given["replicas"], digits=given["digits"])
        arguments = {"level": given["level"], "degradation": given["degradation"]}
        wrong = case.get("raises", {"class": ""})
        if wrong["class"] == "TypeError":
            with contextlib.suppress(PreconditionFailed):
                mapping.bootstrap(**arguments)
                check_bootstrap(mapping, given)
        elif wrong["class"] == "AssertionError":
            with pytest.raises(ValueError, match=r"level|meta1|degradation"):
                mapping.bootstrap(**arguments)
        elif wrong["class"]:
            with pytest.raises(OioException) as caught:
                mapping.bootstrap(**arguments)
            assert (type(caught.value).__name__, str(caught.value)) == (wrong["class"], wrong["str"])
            assert not mapping
        else:
            mapping.bootstrap(**arguments)
            compare_bootstrap(mapping, given, case["output"])
    report_count("directory bootstrap", len(cases))


def check_bootstrap(mapping: Meta0PrefixMapping, given: dict[str, Any]) -> None:
    """What holds of every first mapping: all replicas, on as many places as there are, evenly."""
    replicas = min(given["replicas"], len(mapping.services))
    assert histogram(mapping) == {str(replicas): 16 ** given["digits"]}
    slices = slices_of(mapping, given["level"])
    place = {key: number for number, keys in enumerate(slices) for key in keys}
    for services in mapping.services_by_base.values():
        met = {place[service["addr"]] for service in services}
        assert len(met) == min(given["replicas"], len(slices))


def compare_bootstrap(mapping: Meta0PrefixMapping, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    slices = slices_of(mapping, given["level"])
    assert len(slices) == wanted["slices"], given
    check_bootstrap(mapping, given)
    if wanted["exact"]:
        assert by_base(mapping) == wanted["by_base"], given
        assert mapping.check_replicas() == wanted["check_replicas"], given
        return
    met = [
        sorted(base for base, keys in by_base(mapping).items() if set(keys) & set(places))
        for places in slices
    ]
    assert met == wanted["bases_per_slice"], given
    if wanted["check_replicas"]:
        assert mapping.count_pfx_by_svc() == wanted["count"], given
        assert histogram(mapping) == wanted["replicas_histogram"], given
    else:
        # The original lost replicas here; ours are on other services of the same places.
        assert mapping.check_replicas(), given


def test_services_with_few_bases_are_found_as_recorded() -> None:
    cases = section("find_services_less_bases")
    for case in cases:
        given = case["input"]
        mapping = mapping_of(
            service_set(given["service_set"]), replicas=given["replicas"], min_dist=given["min_dist"]
        )
        for key, count in given["bases_count"].items():
            mapping.services[key]["bases"] = {f"{number:04X}" for number in range(count)}
        known = None if given["known"] is None else [mapping.services[key] for key in given["known"]]
        found = mapping.find_services_less_bases(known, min_score=given["min_score"])
        assert [service["addr"] for service in found] == case["output"]
        assert known is None or found is known
    report_count("directory find_services_less_bases", len(cases))


def loaded(given: dict[str, Any], before: dict[str, list[str]]) -> Meta0PrefixMapping:
    services = [dict(one) for one in service_set(given["service_set"])]
    mapping = mapping_of(
        services, replicas=given["replicas"], digits=given["digits"], min_dist=given["min_dist"]
    )
    for key, score in (given.get("scores") or {}).items():
        mapping.services[key]["score"] = score
    for base, keys in before.items():
        mapping.assign_services(base, [mapping.services[key] for key in keys])
    return mapping


def test_decommission_moves_as_recorded() -> None:
    cases = section("decommission")
    for case in cases:
        given = case["input"]
        before = case.get("output", {}).get("before", {}).get("by_base")
        if before is None:
            before = mapped(given)
        mapping = loaded(given, before)
        strategy = mapping.find_services_less_bases if given["strategy"] else None
        if "raises" in case:
            kind = {"ValueError": ValueError, "KeyError": KeyError}[case["raises"]["class"]]
            with pytest.raises(kind) as caught:
                mapping.decommission(given["service"], given["bases"], strategy)
            assert str(caught.value) == case["raises"]["str"]
            assert by_base(mapping) == {base: sorted(keys) for base, keys in before.items()}
            assert mapping.services[given["service"]]["score"] == 100
            continue
        moved = mapping.decommission(given["service"], given["bases"], strategy)
        wanted = case["output"]
        assert sorted(moved) == wanted["moved"]
        assert sorted(mapping.services[given["service"]]["bases"]) == wanted["left_on_service"]
        check_moves(mapping, before, moved, wanted)
        assert mapping.services[given["service"]]["score"] == wanted["score_restored"]
        rest = {key: count for key, count in mapping.count_pfx_by_svc().items() if key != given["service"]}
        spread = max(rest.values()) - min(rest.values())
        theirs = [count for key, count in wanted["after_counts"].items() if key != given["service"]]
        assert spread <= max(1, max(theirs) - min(theirs)), given
    report_count("directory decommission", len(cases))


def mapped(given: dict[str, Any]) -> dict[str, list[str]]:
    mapping = mapping_of(
        service_set(given["service_set"]), replicas=given["replicas"], digits=given["digits"]
    )
    mapping.bootstrap()
    return by_base(mapping)


def check_moves(
    mapping: Meta0PrefixMapping, before: dict[str, list[str]], moved: set[str], wanted: dict[str, Any]
) -> None:
    """At most one replica of a base moved, the others stayed where they were, and none was lost."""
    changed = changes(before, by_base(mapping))
    assert {base for base, count in changed.items() if count} == moved
    assert set(changed.values()) <= {0, 1}
    if "after_replicas_histogram" in wanted:
        assert histogram(mapping) == wanted["after_replicas_histogram"]
        assert violations(mapping) <= wanted["min_dist_violations"]
    for key, service in mapping.services.items():
        assert service["bases"] == {base for base, keys in by_base(mapping).items() if key in keys}


def test_rebalance_moves_no_more_than_it_must() -> None:
    cases = section("rebalance")
    for case in cases:
        given, wanted = case["input"], case["output"]
        before = wanted["before"]["by_base"]
        mapping = loaded(given, before)
        moved = mapping.rebalance()
        if wanted["moved"] is None:
            assert moved is None
            continue
        assert moved is not None
        check_moves(mapping, before, moved, wanted)
        if not wanted["moved"]:
            assert not moved, given
        limits = {key: service["upper_limit"] for key, service in mapping.services.items()}
        assert limits == wanted["upper_limits"]
        above = sum(max(0, count - limits[key]) for key, count in mapping.count_pfx_by_svc().items())
        theirs = sum(max(0, count - limits[key]) for key, count in wanted["after_counts"].items())
        assert above <= theirs, (given, mapping.count_pfx_by_svc())
        assert bool(above) <= bool(mapping.further_runs) or given["min_dist"] > 1
    report_count("directory rebalance", len(cases))


def test_the_rules_of_2020_hold_for_the_mappings_before_them() -> None:
    cases = section("seed_era_mapping")
    for case in cases:
        given, wanted, what = case["input"], case["output"], case["what"]
        mapping = mapping_of(
            service_set(given["service_set"]),
            replicas=given["replicas"],
            digits=given["digits"],
            min_dist=given.get("min_dist", 1),
        )
        if what == "bootstrap":
            mapping.bootstrap(given["level"], given["degradation"])
            assert mapping.count_pfx_by_svc() == wanted["count"]
            assert by_base(mapping) == {base: sorted(keys) for base, keys in wanted["by_base"].items()}
            continue
        if given.get("skew", "balanced") == "balanced":
            mapping.bootstrap()
        else:
            full = [key for key, count in sorted(wanted["before_counts"].items()) if count]
            for number in range(16 ** given["digits"]):
                keys = [full[(number + step) % len(full)] for step in range(given["replicas"])]
                mapping.assign_services(f"{number:0{given['digits']}X}", [mapping.services[k] for k in keys])
        before = by_base(mapping)
        assert Counter(mapping.count_pfx_by_svc()) == Counter(wanted["before_counts"])
        if not wanted["check_replicas"]:
            # The original dropped a replica of every base here.
            with pytest.raises(ValueError, match="Less than 3 locations"):
                mapping.decommission(given["service"], given["bases"])
            assert by_base(mapping) == before
            continue
        if what == "decommission":
            moved = mapping.decommission(given["service"], given["bases"])
            assert len(moved) == wanted["n_moved"]
            assert mapping.get_score(given["service"]) == wanted["score"]
        else:
            moved = mapping.rebalance() or set()
            ours, theirs = mapping.count_pfx_by_svc().values(), wanted["after_counts"].values()
            assert max(ours) <= max(theirs)
        check_moves(mapping, before, moved, {})
        assert histogram(mapping) == wanted["replicas_histogram"]
    report_count("directory seed_era_mapping", len(cases))
