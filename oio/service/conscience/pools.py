"""Pools of services and how some of them are chosen. Pure, given a source of chance.

`targets` is a `;` list of `count,slot[,fallback slot...]`. Two services must be at least a distance apart: the number
of location levels that differ, counted from the first difference.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEVELS: Final = 4
MAX_COUNT: Final = 1024
ATTEMPTS: Final = 8


class Unsatisfiable(Exception):
    """No choice meets the constraints; the text tells what was found."""


@dataclass(frozen=True, slots=True)
class Item:
    """A service that can be chosen: `name` is its stable id or address."""

    name: str
    type: str
    addr: str
    location: str
    slots: frozenset[str]
    score: int

    def levels(self) -> tuple[int, ...]:
        """The four levels of its location, missing ones in front."""
        return levels(self.location)


@dataclass(frozen=True, slots=True)
class Target:
    """So many services from the first of these slots that has any."""

    count: int
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """Targets and constraints. `strict` and `fair` are maxima for each site, rack, host and volume; 0 means none."""

    name: str
    targets: tuple[Target, ...]
    min_dist: int = 1
    max_dist: int = LEVELS
    warn_dist: int = 0
    nearby: bool = False
    strict: tuple[int, ...] = (0, 0, 0, 0)
    fair: tuple[int, ...] = (0, 0, 0, 0)

    @property
    def size(self) -> int:
        """How many services the pool asks for."""
        return sum(target.count for target in self.targets)


@dataclass(frozen=True, slots=True)
class Choice:
    """Services chosen; `flawed` when a soft constraint was broken."""

    items: tuple[Item, ...]
    flawed: bool


def levels(location: str) -> tuple[int, ...]:
    """Location as four numbers of 16 bits, most general first; fewer tokens are right-aligned, 0 is a missing one."""
    tokens = location.split(".", LEVELS - 1) if location else []
    return (0,) * (LEVELS - len(tokens)) + tuple(_hash(token) for token in tokens)


def levels_of(number: int) -> tuple[int, ...]:
    """The same from the number of 64 bits that stands for a location on the wire."""
    return tuple(number >> shift & 0xFFFF for shift in (48, 32, 16, 0))


def _hash(token: str) -> int:
    """djb2, its lower 16 bits."""
    value = 5381
    for byte in token.encode():
        value = (value * 33 + byte) & 0xFFFF
    return value


def distance(one: Sequence[int], other: Sequence[int]) -> int:
    """4 for different sites, 1 for different volumes of one host, 0 for the same."""
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        if left != right:
            return LEVELS - index
    return 0


def parse_targets(text: str) -> tuple[Target, ...]:
    """Targets from their text; ValueError names what is wrong."""
    targets = []
    for part in filter(None, text.split(";")):
        count, *slots = (piece.strip() for piece in part.split(","))
        if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= MAX_COUNT:
            raise ValueError(f"Bad target {part!r}: it starts with a count between 1 and {MAX_COUNT}")
        if not slots or not all(slots):
            raise ValueError(f"Bad target {part!r}: a slot is missing")
        targets.append(Target(int(count), tuple(slots)))
    if not targets:
        raise ValueError("Bad targets: none is given")
    return tuple(targets)


def parse_pool(name: str, targets: str, options: Mapping[str, str]) -> Pool:
    """A pool from its texts; unknown options are ignored, ValueError for bad values."""

    def number(option: str, default: int) -> int:
        text = options.get(option, str(default))
        if not text.isascii() or not text.isdigit() or int(text) > LEVELS:
            raise ValueError(
                f"Bad value for option {option}: {text!r}, a number between 0 and {LEVELS} is expected"
            )
        return int(text)

    def limits(option: str) -> tuple[int, ...]:
        parts = options.get(option, "0.0.0.0").split(".")
        if len(parts) != LEVELS or not all(
            part.isascii() and part.isdigit() and len(part) < 6 for part in parts
        ):
            raise ValueError(f"Bad value for option {option}: {options[option]!r}, a.b.c.d is expected")
        return tuple(int(part) for part in parts)

    nearby = options.get("nearby_mode", "false").lower() in ("true", "yes", "on", "1")
    return Pool(
        name,
        parse_targets(targets),
        number("min_dist", 1),
        number("max_dist", LEVELS),
        number("warn_dist", 0),
        nearby,
        limits("strict_location_constraint"),
        limits("fair_location_constraint"),
    )


def poll(
    pool: Pool,
    items: Sequence[Item],
    known: Iterable[Item],
    avoid: Iterable[Item],
    chance: random.Random,
    known_locations: Iterable[int] = (),
    avoid_locations: Iterable[int] = (),
) -> Choice:
    """Choose what the pool still lacks beside `known`; Unsatisfiable."""
    kept = list(known)
    taken = [item.levels() for item in kept] + [levels_of(number) for number in known_locations]
    barred = {item.levels() for item in avoid} | {levels_of(number) for number in avoid_locations}
    missing = pool.size - len(taken)
    chosen: list[Item] = []
    flawed = False
    for target in pool.targets:
        already = sum(bool(item.slots & set(target.slots)) for item in kept)
        for _ in range(max(0, min(target.count - already, missing - len(chosen)))):
            found = _one(pool, target, items, chosen, taken, barred, chance)
            if found is None:
                raise Unsatisfiable(_text(pool, target, items, chosen, len(kept)))
            item, at = found
            flawed |= at < pool.warn_dist or _exceeds(pool.fair, [*taken, item.levels()])
            chosen.append(item)
            taken.append(item.levels())
    return Choice(tuple(chosen), flawed)


def _one(
    pool: Pool,
    target: Target,
    items: Sequence[Item],
    chosen: Sequence[Item],
    taken: Sequence[tuple[int, ...]],
    barred: set[tuple[int, ...]],
    chance: random.Random,
) -> tuple[Item, int] | None:
    order = (
        range(pool.min_dist, pool.max_dist + 1)
        if pool.nearby
        else range(pool.max_dist, pool.min_dist - 1, -1)
    )
    for slot in target.slots:
        usable = [
            item
            for item in items
            if item.score > 0
            and slot in item.slots
            and item not in chosen
            and item.levels() not in barred
            and not _exceeds(pool.strict, [*taken, item.levels()])
        ]
        for fair in (True, False):
            for wanted in order:
                fitting = [
                    item
                    for item in usable
                    if all(_fits(distance(item.levels(), other), wanted, pool) for other in taken)
                    and not (fair and _exceeds(pool.fair, [*taken, item.levels()]))
                ]
                if fitting:
                    picked = chance.choices(fitting, weights=[item.score for item in fitting])[0]
                    return picked, wanted
    return None


def _fits(apart: int, wanted: int, pool: Pool) -> bool:
    return pool.min_dist <= apart <= wanted if pool.nearby else apart >= wanted


def _exceeds(maxima: Sequence[int], locations: Sequence[tuple[int, ...]]) -> bool:
    for level, maximum in enumerate(maxima):
        if maximum and max(Counter(place[: level + 1] for place in locations).values(), default=0) > maximum:
            return True
    return False


def _text(pool: Pool, target: Target, items: Sequence[Item], chosen: Sequence[Item], known: int) -> str:
    slot = target.slots[0]
    size = sum(slot in item.slots for item in items)
    limits = ".".join(map(str, pool.strict))
    return (
        f"found only {known} services matching the criteria: no service polled from [{slot}], "
        f"{len(chosen)}/{pool.size} services polled, {known} known services, {size} services in slot, "
        f"min_dist={pool.min_dist}, strict_location_constraint={limits}"
    )
