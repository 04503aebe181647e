"""Prefixes, locations, scores, names and parameters, against what the original package computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from oio.directory import locations
from oio.directory.admin import loc_params, service_id_to_string
from oio.directory.meta import MetaMapping
from oio.directory.meta0 import (
    Meta0PrefixMapping,
    count_prefixes,
    generate_prefixes,
    generate_short_prefixes,
)
from tests.oio.directory.services_in_memory import by_base, mapping_of, section, service_set
from tests.shared import report_count


def compare(name: str, compute: Callable[..., Any]) -> None:
    """Every case of a section: the same value, or the same error with the same text."""
    cases = section(name)
    for case in cases:
        if "raises" in case or "defect" in case:
            ours = {"class": "ValueError", "str": "Invalid number of digits"}
            wanted = ours if "defect" in case else case["raises"]
            error = raised(lambda given=case["input"]: compute(**given))
            assert type(error).__name__ == wanted["class"], case
            # How a parser words an error differs between versions of Python.
            assert str(error) == wanted["str"] or isinstance(error, json.JSONDecodeError), case
        else:
            assert compute(**case["input"]) == case["output"], case
    report_count(f"directory {name}", len(cases))


def raised(act: Callable[[], Any]) -> Exception:
    try:
        act()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


def plain(digits: int | None) -> Meta0PrefixMapping:
    return mapping_of([], digits=digits)


def summary(prefixes: list[str]) -> dict[str, Any]:
    return {
        "count": len(prefixes),
        "first": prefixes[:3],
        "last": prefixes[-3:],
        "sorted": prefixes == sorted(prefixes),
    }


def test_prefixes_are_counted_and_listed() -> None:
    compare("count_prefixes", count_prefixes)
    compare("generate_short_prefixes", lambda digits: list(generate_short_prefixes(digits)))
    compare("generate_prefixes", lambda digits: list(generate_prefixes(digits)))
    compare("generate_short_prefixes_summary", lambda digits: summary(list(generate_short_prefixes(digits))))
    compare("generate_prefixes_summary", lambda digits: summary(list(generate_prefixes(digits))))
    compare("num_bases", lambda digits: plain(digits).num_bases())


def test_no_digits_name_one_base_and_five_are_refused() -> None:
    assert list(generate_prefixes(0)) == ["0000"]
    for generate in (generate_prefixes, generate_short_prefixes):
        with pytest.raises(ValueError, match="Invalid number of digits"):
            list(generate(5))


def test_a_prefix_belongs_to_its_base() -> None:
    compare("prefix_to_base", lambda digits, prefix: plain(digits).prefix_to_base(prefix))

    def siblings(digits: int | None, prefix: str) -> Any:
        found = plain(digits).prefix_siblings(prefix)
        return found if len(found) <= 16 else {"count": len(found), "first": found[0], "last": found[-1]}

    compare("prefix_siblings", siblings)


def test_numbers_that_cannot_be_are_refused() -> None:
    def made(**numbers: Any) -> dict[str, Any]:
        mapping = mapping_of([], **{"digits": 1, **numbers})
        return {"replicas": mapping.replicas, "digits": mapping.digits, "min_dist": mapping.min_dist}

    compare("mapping_init", made)


def test_distances_and_groups_of_locations() -> None:
    compare("dist_between", lambda loc1, loc2: Meta0PrefixMapping.dist_between(loc1, loc2))
    compare(
        "location_group", lambda loc, min_dist: locations.group("10.0.0.1" if loc is None else loc, min_dist)
    )


def test_services_are_found_by_key_or_description() -> None:
    compare("get_loc", lambda services, svc, default: mapping_of(services).get_loc(svc, default))
    compare("get_score", lambda services, svc: mapping_of(services).get_score(svc))
    compare("get_managed_bases", lambda services, svc: sorted(mapping_of(services).get_managed_bases(svc)))
    compare("services_keys", lambda services: sorted(mapping_of(services).services))


def test_the_managed_bases_are_the_live_set() -> None:
    mapping = mapping_of(service_set("3x1x1x1"), digits=1)
    mapping.get_managed_bases("10.0.0.0:6000").add("A")
    assert mapping.services["10.0.0.0:6000"]["bases"] == {"A"}


def test_names_of_bases_and_services() -> None:
    compare("get_cid_and_seq", lambda base: list(MetaMapping.get_cid_and_seq(base)))
    compare("service_id_to_string", service_id_to_string)


def test_the_location_of_a_base_becomes_parameters() -> None:
    @loc_params
    def method(_self: Any, params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {"params": params, "kwargs": kwargs}

    compare("loc_params", lambda **given: method(None, **given))


def test_parameters_of_the_caller_stay_as_they_are() -> None:
    @loc_params
    def method(_self: Any, params: dict[str, Any], **_kwargs: Any) -> None:
        params["more"] = 1

    given = {"type": "meta2"}
    method(None, cid="C", params=given)
    assert given == {"type": "meta2"}


def test_mappings_are_read() -> None:
    def loaded(json: Any, **kwargs: Any) -> dict[str, Any]:
        mapping = mapping_of(kwargs.pop("services"), **kwargs)
        mapping.load_json(json)
        raw = {
            base: sorted(one["addr"] for one in services)
            for base, services in mapping.raw_services_by_base.items()
        }
        return {
            "dump": {"by_base": by_base(mapping), "count": mapping.count_pfx_by_svc()},
            "raw": raw,
            "check": mapping.check_replicas(),
            "json": as_json(mapping) if mapping.digits == 4 else None,
        }

    def as_json(mapping: Meta0PrefixMapping) -> dict[str, list[str]]:
        return {prefix: sorted(names) for prefix, names in json.loads(mapping.to_json()).items()}

    compare("load_json", loaded)


def test_a_mapping_survives_the_way_through_json() -> None:
    case = section("json_round_trip")[0]
    wanted = case["output"]
    numbers = {"digits": case["input"]["digits"], "replicas": case["input"]["replicas"]}
    services = service_set(case["input"]["service_set"])
    mapping = mapping_of(services, **numbers)
    assert bool(mapping) is wanted["bool_empty"]
    mapping.bootstrap()
    whole = json.loads(mapping.to_json())
    again = mapping_of(services, **numbers)
    again.load_json(whole)
    through_meta0 = mapping_of(services, **numbers)
    through_meta0.m0.mapping = whole  # type: ignore[attr-defined]  # the dictionary of this test's meta0
    through_meta0.load_meta0()
    partial = sorted(json.loads(mapping.to_json(["0", "1"])))
    assert {
        "json_keys": len(whole),
        "same_after_load_json": by_base(again) == by_base(mapping),
        "same_after_load_meta0": by_base(through_meta0) == by_base(mapping),
        "bases": len(mapping.services_by_base),
        "partial_keys": len(partial),
        "partial_first": partial[0],
        "partial_last": partial[-1],
        "bool": bool(mapping),
        "bool_empty": False,
    } == wanted
    report_count("directory json_round_trip", 1)


def test_services_are_assigned() -> None:
    case = section("assign_services")[0]
    mapping = mapping_of(case["input"]["services"], digits=1)
    services, base = list(mapping.services.values()), case["input"]["base"]

    def shown() -> dict[str, Any]:
        return {"by_base": by_base(mapping), "count": mapping.count_pfx_by_svc()}

    mapping.assign_services(base, services[:3])
    assert shown() == case["output"]["first"]
    with pytest.raises(ValueError, match=case["output"]["second"]):
        mapping.assign_services(base, services[3:], fail_if_already_set=True)
    mapping.assign_services(base, services[3:])
    assert shown() == case["output"]["third"]
    report_count("directory assign_services", 1)
