"""Scores, locks, expiry, restart, and how services are chosen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oio.service.conscience import pools
from oio.service.conscience.ensemble import Ensemble
from oio.service.conscience.pools import Item, Unsatisfiable, levels, parse_pool, poll
from oio.service.conscience.registry import Kind, Registry, Stamps
from oio.service.conscience.scoring import BadExpression, Expression
from oio.service.conscience.server import Conscience, default_kinds
from oio.service.rpc import RpcClient
from oio.service.status import NETWORK_STATUSES, UNAVAILABLE, ServiceError

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


async def listed(rpc: RpcClient, address: str) -> dict[str, tuple[int, bool]]:
    """Address -> score and lock of the services of type echo, as one conscience lists them."""
    services = (await rpc.call(address, "list", {}))["echo"]
    return {one["addr"]: (one["score"], one["tags"]["tag.lock"]) for one in services}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[tuple[dict[str, Conscience], dict[str, str], RpcClient]]:
    """Consciences a, b and c that know each other: by name, with their addresses, and a client."""
    rpc, alive, addresses = RpcClient(), dict[str, Conscience](), dict[str, str]()
    try:
        for name in "abc":
            alive[name] = conscience_in(folder, name, addresses)
            addresses[name] = await alive[name].start("127.0.0.1", 0)
        yield alive, addresses, rpc
    finally:
        for one in alive.values():
            await one.stop()
        await rpc.close()


def conscience_in(folder: Path, name: str, addresses: dict[str, str]) -> Conscience:
    def others() -> list[str]:
        return [address for other, address in addresses.items() if other != name]

    return Conscience(default_kinds(), {}, folder / f"{name}.json", others=others)


async def test_what_one_conscience_is_told_all_know_and_locks_before_they_are_acknowledged(
    tmp_path: Path,
) -> None:
    service = {"type": "echo", "addr": ADDRESS}
    async with three(tmp_path) as (_, addresses, rpc):
        await rpc.call(addresses["a"], "push", {"services": [service]})
        for name in "bc":
            await until(lambda name=name: knows(rpc, addresses[name], {ADDRESS: (100, False)}))  # type: ignore[misc]
        await rpc.call(addresses["b"], "lock", {"services": [{**service, "score": 7}]})
        assert [await listed(rpc, addresses[name]) for name in "abc"] == 3 * [{ADDRESS: (7, True)}]
        await rpc.call(addresses["c"], "push", {"services": [service]})
        await rpc.call(addresses["a"], "unlock", {"services": [service]})
        assert [await listed(rpc, addresses[name]) for name in "abc"] == 3 * [{ADDRESS: (100, False)}]
        await rpc.call(addresses["c"], "deregister", {"services": [service]})
        assert [await listed(rpc, addresses[name]) for name in "abc"] == 3 * [{}]


async def knows(rpc: RpcClient, address: str, wanted: dict[str, tuple[int, bool]]) -> bool:
    return await listed(rpc, address) == wanted


async def test_a_conscience_that_was_away_catches_up_before_it_answers(tmp_path: Path) -> None:
    gone, locked, new = ({"type": "echo", "addr": f"127.0.0.1:700{number}"} for number in (1, 2, 3))
    async with three(tmp_path) as (alive, addresses, rpc):
        await rpc.call(addresses["a"], "push", {"services": [gone, locked]})
        await until(lambda: knows(rpc, addresses["c"], {one["addr"]: (100, False) for one in (gone, locked)}))
        port = int(addresses["c"].rpartition(":")[2])
        await alive.pop("c").stop()
        await rpc.call(addresses["a"], "deregister", {"services": [gone]})
        await rpc.call(addresses["b"], "lock", {"services": [{**locked, "score": 3}]})
        await rpc.call(addresses["b"], "push", {"services": [new]})
        alive["c"] = conscience_in(tmp_path, "c", addresses)
        await alive["c"].start("127.0.0.1", port)
        wanted = {locked["addr"]: (3, True), new["addr"]: (100, False)}
        assert await listed(rpc, addresses["c"]) == wanted
        for name in "ab":
            await until(lambda name=name: knows(rpc, addresses[name], wanted))  # type: ignore[misc]


async def test_clients_of_consciences_go_on_to_the_next_one(tmp_path: Path) -> None:
    async with three(tmp_path) as (alive, addresses, rpc):
        several = Ensemble([addresses[name] for name in "abc"], rpc)
        await alive.pop("a").stop()
        await several.call("push", {"services": [{"type": "echo", "addr": ADDRESS}]})
        assert several.addresses[0] == addresses["b"]
        with pytest.raises(ServiceError, match="not managed"):
            await several.call("flush", {"type": "nothing"})
        for name in "bc":
            await alive.pop(name).stop()
        with pytest.raises(ServiceError) as caught:
            await several.call("list", {})
        assert caught.value.status in NETWORK_STATUSES


async def test_a_lock_is_on_the_disk_when_it_is_acknowledged(tmp_path: Path) -> None:
    """Nothing is stopped in good order here: what a second conscience reads is what a crash would leave."""
    rpc, state = RpcClient(), tmp_path / "state.json"
    first, second, third = (Conscience(default_kinds(), {}, state) for _ in range(3))
    try:
        address = await first.start("127.0.0.1", 0)
        service = {"type": "echo", "addr": ADDRESS, "score": 7}
        await rpc.call(address, "push", {"services": [service]})
        await rpc.call(address, "lock", {"services": [service]})
        assert not state.exists()
        with state.with_suffix(".journal").open("a") as journal:
            journal.write('\n[{"type": "echo", "addr": "127')
        address = await second.start("127.0.0.1", 0)
        assert await listed(rpc, address) == {ADDRESS: (7, True)}
        await rpc.call(address, "lock", {"services": [{**service, "score": 9}]})
        assert await listed(rpc, await third.start("127.0.0.1", 0)) == {ADDRESS: (9, True)}
    finally:
        for one in (first, second, third):
            await one.stop()
        await rpc.close()


async def test_a_lock_that_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    rpc = RpcClient()
    conscience = Conscience(default_kinds(), {}, tmp_path / "missing" / "state.json")
    try:
        address = await conscience.start("127.0.0.1", 0)
        service = {"type": "echo", "addr": ADDRESS, "score": 7}
        await rpc.call(address, "push", {"services": [service]})
        with pytest.raises(ServiceError, match="not on the disk") as caught:
            await rpc.call(address, "lock", {"services": [service]})
        assert caught.value.status == UNAVAILABLE
    finally:
        await conscience.stop()
        await rpc.close()


ACTS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["push", "lock", "unlock", "remove", "tell"]), st.integers(0, 2)
    ),
    max_size=30,
)


@given(ACTS, st.lists(st.integers(-5, 5), min_size=3, max_size=3))
@example([(0, "push", 0), (0, "tell", 1), (1, "remove", 0), (0, "tell", 1), (1, "tell", 0)], [0, -5, 5])
@settings(max_examples=150, deadline=None)
def test_consciences_agree_whatever_the_order_of_news_and_wrong_clocks(
    acts: list[tuple[int, str, int]], clocks: list[int]
) -> None:
    kind = Kind("echo", Expression("(num stat.cpu)"), 10.0, 100, False)
    registries = [Registry({"echo": kind}, Stamps(lambda skew=skew: 1e9 + skew)) for skew in clocks]  # type: ignore[misc]
    for number, (who, act, other) in enumerate(acts):
        one, addr = registries[who], f"127.0.0.1:{7001 + other}"
        if act == "push":
            one.push("echo", addr, {"stat.cpu": 1 + number}, 0)
        elif act == "lock":
            one.lock("echo", addr, 1 + number, 0, create=True)
        elif act == "unlock":
            one.unlock("echo", addr, 0)
        elif act == "remove":
            one.deregister("echo", addr)
        else:
            registries[other].merge(one.changes(0, 0), 0)
    for _ in range(2):
        for one in registries:
            for other_one in registries:
                other_one.merge(one.changes(0, 0), 0)
    first, *rest = ([known.document(True) for known in one.of_type("echo")] for one in registries)
    assert all(found == first for found in rest)


def test_the_last_act_counts_though_its_clock_is_behind() -> None:
    kind = Kind("echo", Expression("100"), 10.0, 100, False)
    ahead, behind = (Registry({"echo": kind}, Stamps(lambda now=now: now)) for now in (2e9, 1e9))  # type: ignore[misc]
    ahead.push("echo", ADDRESS, {}, 0)
    ahead.lock("echo", ADDRESS, 3, 0)
    behind.merge(ahead.changes(0, 0), 0)
    behind.unlock("echo", ADDRESS, 0)
    ahead.merge(behind.changes(0, 0), 0)
    assert [(known.score, known.locked) for known in ahead.of_type("echo")] == [(100, False)]


def test_a_service_that_fell_silent_is_not_brought_back_by_a_conscience_that_restarted() -> None:
    one, other = registry(), registry()
    one.push("echo", ADDRESS, {"stat.cpu": 50}, 0)
    other.restore(one.changes(0, 0), 20)
    one.expire(20)
    one.merge(other.changes(0, 20), 20)
    other.merge(one.changes(0, 20), 20)
    for known in (one, other):
        known.expire(20)
        assert [service.score for service in known.of_type("echo")] == [0]


def test_a_removal_is_forgotten_after_its_time() -> None:
    now = [1e9]
    known = Registry({"echo": Kind("echo", Expression("100"))}, Stamps(lambda: now[0]))
    known.push("echo", ADDRESS, {}, 0)
    known.deregister("echo", ADDRESS)
    known.forget_removals(int(now[0] * 1e6))
    assert len(known.changes(0, 0)) == 1
    now[0] += 86401
    known.forget_removals(int((now[0] - 86400) * 1e6))
    assert known.changes(0, 0) == []


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
