"""Leases in a file: one holder at a time, tokens that only grow."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import apsw
import pytest

from oio.service.lease import LeaseError
from oio.service.lease.sqlite import SqliteLeases, clock, make_lease_file


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lease_file(folder: Path) -> Path:
    make_lease_file(folder / "leases")
    return folder / "leases"


async def test_one_holder_until_it_expires_and_a_higher_token_for_the_next(tmp_path: Path) -> None:
    clock = Clock()
    store = SqliteLeases(lease_file(tmp_path), clock)
    first = await store.acquire("k", "a:1#x", 3)
    assert (await store.acquire("k", "b:1#y", 3)) == first
    assert (await store.acquire("other", "b:1#y", 3)).token > first.token
    clock.now += 4
    second = await store.acquire("k", "b:1#y", 3)
    assert second.holder == "b:1#y"
    assert second.token > first.token
    assert await store.renew(first, 3) is None
    assert await store.renew(second, 3) is not None
    await store.close()


async def test_a_released_lease_is_free_and_its_token_is_never_used_again(tmp_path: Path) -> None:
    store = SqliteLeases(lease_file(tmp_path))
    first = await store.acquire("k", "a:1#x", 30)
    await store.release(first)
    assert (await store.acquire("k", "b:1#y", 30)).token > first.token
    await store.close()


async def test_a_restarted_holder_gets_its_lease_back_under_a_new_token(tmp_path: Path) -> None:
    store = SqliteLeases(lease_file(tmp_path))
    first = await store.acquire("k", "a:1#x", 30)
    again = await store.acquire("k", "a:1#z", 30)
    assert again.holder == "a:1#z"
    assert again.token > first.token
    await store.close()


async def test_a_store_that_is_gone_says_so_and_is_found_again(tmp_path: Path) -> None:
    path = lease_file(tmp_path)
    store = SqliteLeases(path)
    first = await store.acquire("k", "a:1#x", 30)
    path.rename(tmp_path / "away")
    with pytest.raises(LeaseError, match="missing"):
        await store.acquire("k", "a:1#x", 30)
    assert not path.exists()
    (tmp_path / "away").rename(path)
    assert await store.acquire("k", "b:1#y", 30) == first
    await store.close()


async def test_the_tokens_of_a_new_file_are_above_those_of_the_lost_one_and_above_what_was_promised(
    tmp_path: Path,
) -> None:
    path = lease_file(tmp_path)
    store = SqliteLeases(path)
    first = await store.acquire("k", "a:1#x", 30)
    for file in tmp_path.iterdir():
        file.unlink()
    make_lease_file(path)
    second = await store.acquire("k", "b:1#y", 30)
    assert second.token > first.token
    assert (
        await store.acquire("other", "b:1#y", 30, above=second.token + 10**9)
    ).token > second.token + 10**9
    await store.close()


async def test_who_waits_for_the_file_stops_no_other_thread(tmp_path: Path) -> None:
    """Several stores in one process: one has the file's lock, another waits, and the first must be able to go on."""
    make_lease_file(tmp_path / "leases")
    blocker = apsw.Connection(str(tmp_path / "leases"))
    blocker.execute("BEGIN IMMEDIATE")
    store = SqliteLeases(tmp_path / "leases")
    waiting = asyncio.create_task(store.acquire("key", "holder", 60.0))
    async with asyncio.timeout(
        5
    ):  # the loop turns while a thread waits: else this would fire late, after an error
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        blocker.execute("COMMIT")
        assert (await waiting).holder == "holder"
    await store.close()
    blocker.close()


@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_f10_a_step_of_the_wall_clock_neither_ends_nor_extends_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    make_lease_file(tmp_path / "leases")
    store, wall = SqliteLeases(tmp_path / "leases"), time.time
    try:
        before = await store.acquire("k", "a:1#x", 600.0)
        monkeypatch.setattr(time, "time", lambda: wall() + step)
        assert (await store.acquire("k", "b:1#y", 600.0)).token == before.token
        renewed = await store.renew(before, 600.0)
        assert renewed is not None
        assert 0.0 < renewed.expires - clock() <= 600.0
        assert abs(renewed.expires - before.expires) < 60.0
    finally:
        await store.close()
