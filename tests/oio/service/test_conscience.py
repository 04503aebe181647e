"""Scores, locks, expiry, restart, and how services are chosen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from oio.service.conscience import pools
from oio.service.conscience.pools import Item, Unsatisfiable, levels, parse_pool, poll
from oio.service.conscience.registry import Kind, Registry
from oio.service.conscience.scoring import BadExpression, Expression
from oio.service.conscience.server import Conscience, default_kinds
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

ADDRESS = "127.0.0.1:7001"


@pytest.mark.parametrize(
    ("text", "values", "score"),
    [
        ("(num stat.cpu)", {"stat.cpu": 55.9}, 55),
        ("root(2, (num stat.cpu) * (num stat.io))", {"stat.cpu": 100, "stat.io": 25}, 50),
        ("(num stat.cpu) + 1 > 50", {"stat.cpu": 50}, 1),
        ("2 * (3 + 4) - 4 / 2", {}, 12),
        ("(num stat.cpu) * 100", {"stat.cpu": 5}, 100),
        ("-5", {}, 0),
        ("(num stat.cpu) / (num stat.io)", {"stat.cpu": 1, "stat.io": 0}, None),
        ("(num stat.cpu)", {}, None),
        ("(num stat.cpu)", {"stat.cpu": "nan"}, None),
    ],
)
def test_an_expression_gives_a_score_or_none(text: str, values: dict[str, object], score: int | None) -> None:
    assert Expression(text).score(values) == score


@pytest.mark.parametrize("text", ["", "1 +", "(1", "foo", "1 2", "(" * 40 + "1" + ")" * 40, "1" * 2000])
def test_a_malformed_expression_is_refused(text: str) -> None:
    with pytest.raises(BadExpression, match="score_expr"):
        Expression(text)


def registry(**options: object) -> Registry:
    wanted = {"timeout": 10.0, "variation": 5, "lock_first": True, **options}
    return Registry({"echo": Kind("echo", Expression("(num stat.cpu)"), **wanted)})  # type: ignore[arg-type]


def test_a_score_rises_slowly_falls_at_once_and_stays_without_numbers() -> None:
    known = registry()
    scores = [
        known.push("echo", ADDRESS, {"stat.cpu": cpu}, now).score
        for now, cpu in enumerate((50, 100, 100, 10))
    ]
    assert scores == [50, 55, 60, 10]
    known.find("echo", ADDRESS).tags.pop("stat.cpu")  # type: ignore[union-attr]
    assert known.push("echo", ADDRESS, {}, 5).score == 10
    assert known.push("echo", ADDRESS, {"tag.up": False}, 6).score == 0


def test_a_lock_holds_the_score_through_pushes_and_unlocking_computes_it_anew() -> None:
    known = registry()
    known.push("echo", ADDRESS, {"stat.cpu": 50}, 0)
    known.lock("echo", ADDRESS, 150, 1)
    assert known.push("echo", ADDRESS, {"stat.cpu": 20}, 2).score == 100
    known.expire(100)
    assert known.of_type("echo")[0].score == 100
    known.unlock("echo", ADDRESS, 101)
    assert known.of_type("echo")[0].score == 20


def test_a_service_seen_first_starts_locked_at_zero() -> None:
    service = registry().push("echo", ADDRESS, {"tag.first": True, "stat.cpu": 50}, 0)
    assert (service.locked, service.score) == (True, 0)


def test_a_silent_service_falls_to_zero() -> None:
    known = registry()
    known.push("echo", ADDRESS, {"stat.cpu": 50}, 0)
    known.expire(10)
    assert known.of_type("echo")[0].score == 50
    known.expire(11)
    service = known.of_type("echo")[0]
    assert (service.score, service.tags["tag.up"]) == (0, False)


def test_an_unknown_type_is_not_managed() -> None:
    with pytest.raises(ServiceError, match="not managed"):
        registry().push("nothing", ADDRESS, {}, 0)


async def test_a_conscience_that_restarts_keeps_services_and_locks(tmp_path: Path) -> None:
    rpc = RpcClient()
    try:
        for turn in range(2):
            conscience = Conscience(default_kinds(), {}, tmp_path / "state.json")
            address = await conscience.start("127.0.0.1", 0)
            if turn == 0:
                services = [
                    {"type": "echo", "addr": f"127.0.0.1:700{n}", "tags": {"tag.loc": "a.b"}} for n in (1, 2)
                ]
                await rpc.call(address, "push", {"services": services})
                await rpc.call(address, "lock", {"services": [{**services[0], "score": 7}]})
            listed = (await rpc.call(address, "list", {}))["echo"]
            await conscience.stop()
    finally:
        await rpc.close()
    assert [(one["score"], one["tags"]["tag.lock"]) for one in listed] == [(7, True), (100, False)]


def items(*locations: str, slots: str = "meta2", score: int = 100) -> list[Item]:
    return [
        Item(
            f"{slots}-{place}", "meta2", f"127.0.0.1:{number + 1}", place, frozenset(slots.split(",")), score
        )
        for number, place in enumerate(locations)
    ]


FOUR = items("a.1.1.1", "b.1.1.1", "c.1.1.1", "d.1.1.1")
CHANCE = random.Random(1)


def test_known_services_count_and_avoided_ones_are_never_chosen() -> None:
    pool = parse_pool("meta2", "3,meta2", {})
    for _ in range(50):
        found = poll(pool, FOUR, FOUR[:1], FOUR[1:2], CHANCE)
        assert {one.name for one in found.items} == {FOUR[2].name, FOUR[3].name}
    assert poll(pool, FOUR, FOUR[:3], [], CHANCE).items == ()


def test_locations_are_known_and_avoided_by_number_as_well() -> None:
    pool = parse_pool("meta2", "3,meta2", {})
    numbers = [
        int.from_bytes(b"".join(v.to_bytes(2, "big") for v in levels(one.location)), "big") for one in FOUR
    ]
    found = poll(pool, FOUR, [], [], CHANCE, numbers[:1], numbers[1:2])
    assert {one.name for one in found.items} == {FOUR[2].name, FOUR[3].name}


def test_the_minimal_distance_is_never_broken() -> None:
    pool = parse_pool("meta2", "3,meta2", {"min_dist": "2"})
    same_host = items("a.1.1.1", "a.1.1.2", "a.1.2.1")
    with pytest.raises(Unsatisfiable, match=r"found only 0 services matching the criteria: .*min_dist=2"):
        poll(pool, same_host, [], [], CHANCE)
    found = poll(parse_pool("meta2", "2,meta2", {"min_dist": "2"}), same_host, [], [], CHANCE)
    assert pools.distance(*(one.levels() for one in found.items)) >= 2


def test_the_next_slot_of_a_target_helps_out() -> None:
    fast, slow = items("a.1.1.1", slots="fast"), items("b.1.1.1", "c.1.1.1", slots="slow")
    found = poll(parse_pool("p", "2,fast,slow", {}), [*fast, *slow], [], [], CHANCE)
    assert fast[0] in found.items
    assert len(found.items) == 2


def test_services_without_score_are_never_chosen() -> None:
    with pytest.raises(Unsatisfiable):
        poll(parse_pool("p", "1,meta2", {}), items("a.1.1.1", score=0), [], [], CHANCE)


def test_strict_constraints_hold_and_broken_fair_ones_are_told() -> None:
    one_site = items("a.1.1.1", "a.2.1.1", "a.3.1.1")
    strict = parse_pool("p", "3,meta2", {"strict_location_constraint": "2.0.0.0"})
    with pytest.raises(Unsatisfiable, match=r"strict_location_constraint=2\.0\.0\.0"):
        poll(strict, one_site, [], [], CHANCE)
    fair = parse_pool("p", "3,meta2", {"fair_location_constraint": "2.0.0.0"})
    assert poll(fair, one_site, [], [], CHANCE).flawed
    assert not poll(fair, FOUR, [], [], CHANCE).flawed
    assert poll(parse_pool("p", "2,meta2", {"warn_dist": "4"}), one_site, [], [], CHANCE).flawed


def test_nearby_mode_keeps_together_what_belongs_together() -> None:
    pool = parse_pool("p", "2,meta2", {"nearby_mode": "true"})
    places = items("a.1.1.1", "a.1.1.2", "b.1.1.1", "b.1.1.2")
    for _ in range(20):
        found = poll(pool, places, [], [], CHANCE)
        assert pools.distance(*(one.levels() for one in found.items)) == 1


@pytest.mark.parametrize("targets", ["", "x", "0,a", "2", "2,", "5000,a", "1,a,,b"])
def test_malformed_targets_are_refused(targets: str) -> None:
    with pytest.raises(ValueError, match="Bad target"):
        parse_pool("p", targets, {})
