from __future__ import annotations

import asyncio

import pytest

from gridtypes import TwinId
from rmb.peer.directory import CachedDirectory, DirectoryUnavailable, StaticDirectory
from rmb.peer.locator import Locator, UnknownTwin
from tfchain.keys import Identity
from tfchain.planetary_address import planetary_address

KEY = bytes(range(32))


class Counting:
    """Knows every twin below 1,000,000 and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.running = 0
        self.most = 0
        self.away = False

    async def public_key(self, twin: TwinId) -> bytes | None:
        self.asked.append(twin)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if self.away:
            raise DirectoryUnavailable("away")
        return KEY if twin < 1_000_000 else None

    async def twin_of(self, public_key: bytes) -> TwinId | None:
        return TwinId(7) if public_key == KEY else None


async def test_questions_about_one_twin_share_one_look_up() -> None:
    source = Counting()
    cached = CachedDirectory(source)
    assert await asyncio.gather(*(cached.public_key(TwinId(7)) for _ in range(50))) == [KEY] * 50
    assert await cached.public_key(TwinId(7)) == KEY
    assert source.asked == [7]


async def test_few_look_ups_run_at_once_and_a_flood_is_refused() -> None:
    source = Counting()
    cached = CachedDirectory(source)
    answers = await asyncio.gather(
        *(cached.public_key(TwinId(n)) for n in range(600)), return_exceptions=True
    )
    assert source.most <= CachedDirectory.LOOKUPS
    refused = [answer for answer in answers if isinstance(answer, DirectoryUnavailable)]
    assert len(refused) == 600 - CachedDirectory.WAITING


async def test_the_cache_is_bounded_and_forgets_the_least_used() -> None:
    source = Counting()
    cached = CachedDirectory(source)
    for number in range(CachedDirectory.SIZE):
        await cached.public_key(TwinId(number))
    await cached.public_key(TwinId(0))
    await cached.public_key(TwinId(5000))
    source.asked.clear()
    await cached.public_key(TwinId(0))
    assert source.asked == []
    await cached.public_key(TwinId(1))
    assert source.asked == [1]


async def test_a_miss_is_remembered_shortly_and_trouble_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counting()
    cached = CachedDirectory(source)
    stranger = TwinId(2_000_000)
    assert await cached.public_key(stranger) is None
    assert await cached.public_key(stranger) is None
    assert source.asked == [stranger]
    source.away = True
    for _ in range(2):
        with pytest.raises(DirectoryUnavailable):
            await cached.public_key(TwinId(8))
    source.away = False
    assert await cached.public_key(TwinId(8)) == KEY


async def test_a_cancelled_question_harms_nobody_else() -> None:
    source = Counting()
    cached = CachedDirectory(source)
    one = asyncio.create_task(cached.public_key(TwinId(7)))
    two = asyncio.create_task(cached.public_key(TwinId(7)))
    await asyncio.sleep(0)
    one.cancel()
    assert await two == KEY


async def test_configured_twins_come_first() -> None:
    source = Counting()
    static = StaticDirectory({TwinId(1): bytes(32)}, source)
    assert await static.public_key(TwinId(1)) == bytes(32)
    assert await static.public_key(TwinId(2)) == KEY
    assert await static.twin_of(bytes(32)) == 1
    assert await static.twin_of(KEY) == 7
    assert await StaticDirectory({}).public_key(TwinId(1)) is None
    assert await StaticDirectory({}).twin_of(KEY) is None


async def test_a_twin_is_found_in_the_map_else_on_the_overlay() -> None:
    identity = Identity.generate()
    directory = StaticDirectory({TwinId(5): identity.public_key})
    locator = Locator({3: "10.0.0.1", 4: "[fd00::1]:99"}, directory, 8051)
    assert await locator.address_of(3) == "10.0.0.1:8051"
    assert await locator.address_of(4) == "[fd00::1]:99"
    assert await locator.address_of(5) == f"[{planetary_address(identity.public_key)}]:8051"
    with pytest.raises(UnknownTwin, match="twin 6 not found"):
        await locator.address_of(6)
