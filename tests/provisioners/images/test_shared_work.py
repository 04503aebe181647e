"""One run for everybody who asks at the same time."""

from __future__ import annotations

import asyncio

import pytest

from provisioners.images.shared_work import SharedWork


async def test_callers_share_one_run_and_the_next_one_starts_anew() -> None:
    shared: SharedWork[str, int] = SharedWork()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.05)
        return runs

    assert await asyncio.gather(*(shared.run("a", work) for _ in range(5))) == [1] * 5
    assert await shared.run("a", work) == 2
    assert await asyncio.gather(shared.run("a", work), shared.run("b", work)) == [3, 4] or runs == 4


async def test_an_error_reaches_every_caller() -> None:
    shared: SharedWork[str, int] = SharedWork()

    async def work() -> int:
        await asyncio.sleep(0.01)
        raise ValueError("no")

    results = await asyncio.gather(*(shared.run("a", work) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["no"] * 3


async def test_one_caller_who_gives_up_does_not_disturb_the_others() -> None:
    shared: SharedWork[str, int] = SharedWork()
    ended: list[str] = []

    async def work() -> int:
        try:
            await asyncio.sleep(0.1)
        finally:
            ended.append("end")
        return 7

    first = asyncio.create_task(shared.run("a", work))
    second = asyncio.create_task(shared.run("a", work))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == 7
    assert ended == ["end"]


async def test_the_run_ends_with_its_last_caller() -> None:
    shared: SharedWork[str, int] = SharedWork()
    ended = asyncio.Event()

    async def work() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 0

    callers = [asyncio.create_task(shared.run("a", work)) for _ in range(2)]
    await asyncio.sleep(0.01)
    for caller in callers:
        caller.cancel()
    for caller in callers:
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert ended.is_set()
