"""What every plan keeps, whatever the services: tried on sets that a machine invents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from oio.common.exceptions import PreconditionFailed
from oio.directory.mapping.placement import changes
from oio.directory.meta0 import Meta0PrefixMapping
from tests.oio.directory.services_in_memory import by_base, mapping_of, violations

SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def services(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to 30 services on few sites, so that places are shared."""
    count = draw(st.integers(1, 30))
    found = []
    for number in range(count):
        place = ".".join(f"{kind}{draw(st.integers(0, 3))}" for kind in "srh")
        tags = {"tag.loc": f"{place}.v{number}"}
        found.append({"addr": f"10.0.0.{number}:6000", "score": 100, "tags": tags})
    return found


@st.composite
def mappings(draw: st.DrawFn) -> Meta0PrefixMapping:
    """Any assignment of the wanted replicas, even or not."""
    found = draw(services())
    replicas = draw(st.integers(1, min(5, len(found))))
    mapping = mapping_of(found, replicas=replicas, digits=1, min_dist=draw(st.integers(1, 4)))
    keys = sorted(mapping.services)
    skew = draw(st.integers(replicas, len(keys)))
    for number in range(16):
        start = draw(st.integers(0, skew - 1))
        chosen = [keys[(start + step) % skew] for step in range(replicas)]
        mapping.assign_services(f"{number:X}", [mapping.services[key] for key in chosen])
    for key in draw(st.lists(st.sampled_from(keys), max_size=2, unique=True)):
        mapping.services[key]["score"] = 0
    return mapping


def unhappy(mapping: Meta0PrefixMapping) -> set[str]:
    """Bases with two replicas too close to each other."""
    found = set()
    for base, held in mapping.services_by_base.items():
        places = [mapping.get_loc(service) for service in held]
        if any(
            mapping.dist_between(one, other) < mapping.min_dist
            for number, one in enumerate(places)
            for other in places[:number]
        ):
            found.add(base)
    return found


@SOME
@given(services(), st.integers(1, 5), st.integers(0, 2), st.sampled_from(["site", "rack", "host", "volume"]))
def test_the_first_mapping_has_all_replicas_and_is_even(
    found: list[dict[str, Any]], replicas: int, digits: int, level: str
) -> None:
    mapping = mapping_of(found, replicas=replicas, digits=digits)
    mapping.bootstrap(level)
    assert len(mapping.services_by_base) == 16**digits
    for held in mapping.services_by_base.values():
        assert len({service["addr"] for service in held}) == min(replicas, len(found))
    assert mapping.check_replicas() or replicas > len(found)


@SOME
@given(mappings())
def test_rebalance_keeps_its_promises(mapping: Meta0PrefixMapping) -> None:
    before, unhappy_before = by_base(mapping), unhappy(mapping)
    try:
        moved = mapping.rebalance()
    except ValueError:
        assert by_base(mapping) == before
        return
    changed = changes(before, by_base(mapping))
    assert set(changed.values()) <= {0, 1}
    assert {base for base, count in changed.items() if count} == moved
    assert all(len(set(keys)) == mapping.replicas for keys in by_base(mapping).values())
    assert unhappy(mapping) <= unhappy_before
    for base in moved or ():
        (new,) = set(by_base(mapping)[base]) - set(before[base])
        assert mapping.get_score(new) > 0


@SOME
@given(mappings())
def test_rebalance_comes_to_rest(mapping: Meta0PrefixMapping) -> None:
    runs = 0
    try:
        while mapping.rebalance():
            runs += 1
            assert runs <= 32, "it never ends"
    except ValueError:
        assume(False)


@SOME
@given(mappings(), st.data())
def test_decommission_empties_or_changes_nothing(mapping: Meta0PrefixMapping, data: st.DataObject) -> None:
    before, unhappy_before = by_base(mapping), unhappy(mapping)
    key = data.draw(st.sampled_from(sorted(mapping.services)))
    score = mapping.services[key]["score"]
    held = set(mapping.services[key]["bases"])
    try:
        moved = mapping.decommission(key)
    except (ValueError, PreconditionFailed):
        assert by_base(mapping) == before
        assert mapping.services[key]["bases"] == held
    else:
        assert moved == held
        assert not mapping.services[key]["bases"]
        changed = changes(before, by_base(mapping))
        assert {base for base, count in changed.items() if count} == held
        assert set(changed.values()) <= {0, 1}
        assert all(len(set(keys)) == mapping.replicas for keys in by_base(mapping).values())
        assert unhappy(mapping) <= unhappy_before
    assert mapping.services[key]["score"] == score


def four_services() -> Meta0PrefixMapping:
    tags = [{"tag.loc": f"s{number}.r.h.v"} for number in range(4)]
    found = [{"addr": f"10.0.0.{n}:1", "score": 100, "tags": tag} for n, tag in enumerate(tags)]
    mapping = mapping_of(found, digits=1)
    mapping.bootstrap()
    return mapping


def test_a_strategy_sees_each_base_move() -> None:
    mapping, seen = four_services(), []

    def strategy(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen.append(sum(mapping.count_pfx_by_svc().values()))
        return mapping.find_services_less_bases(known)

    assert len(mapping.decommission("10.0.0.0:1", strategy=strategy)) == 12
    assert seen == [48] * 12
    assert mapping.count_pfx_by_svc() == {f"10.0.0.{n}:1": 16 * (n > 0) for n in range(4)}


def test_a_strategy_that_fails_midway_changes_nothing() -> None:
    mapping, calls = four_services(), iter(range(5))
    before = by_base(mapping)

    def strategy(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        next(calls)
        return mapping.find_services_less_bases(known)

    with pytest.raises(RuntimeError):
        mapping.decommission("10.0.0.0:1", strategy=strategy)
    assert by_base(mapping) == before
    assert mapping.count_pfx_by_svc() == dict.fromkeys(mapping.services, 12)
    assert mapping.get_score("10.0.0.0:1") == 100


def test_a_base_without_a_successor_is_named() -> None:
    mapping = four_services()
    mapping.min_dist = 4
    mapping.services["10.0.0.3:1"]["tags"]["tag.loc"] = "s2.r.h.other"
    mapping.services["10.0.0.2:1"]["score"] = 0
    before = by_base(mapping)
    with pytest.raises((PreconditionFailed, ValueError), match=r"base|locations"):
        mapping.decommission("10.0.0.0:1")
    assert by_base(mapping) == before


def test_the_same_mapping_gives_the_same_plan() -> None:
    plans = []
    for _ in range(2):
        mapping = four_services()
        extra = {"addr": "10.0.0.9:1", "score": 100, "tags": {"tag.loc": "s9.r.h.v"}, "bases": set()}
        mapping.services["10.0.0.9:1"] = extra
        mapping.rebalance()
        plans.append(by_base(mapping))
    assert plans[0] == plans[1]
    assert violations(mapping) == 0
