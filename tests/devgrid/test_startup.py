"""Steps start as soon as they can, and the first failure ends the start."""

from __future__ import annotations

import asyncio

import pytest

from devgrid.startup import Progress, StartFailed, Step, check_order, run_steps


async def _nothing() -> None:
    return None


def _ignore(progress: Progress) -> None:
    return None


async def test_a_step_waits_for_those_it_names_and_for_no_other() -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        order.append("slow")

    async def after_slow() -> None:
        order.append("after slow")

    async def free() -> None:
        order.append("free")
        gate.set()

    steps = [Step("after", after_slow, ("slow",)), Step("slow", slow), Step("free", free)]
    await asyncio.wait_for(run_steps(steps, _ignore), 5)
    assert order == ["free", "slow", "after slow"]


async def test_the_first_failure_is_named_and_cancels_the_rest() -> None:
    cancelled = asyncio.Event()
    events: list[Progress] = []

    async def fails() -> None:
        raise RuntimeError("no such thing")

    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(StartFailed, match="bad: no such thing") as failure:
        await asyncio.wait_for(run_steps([Step("endless", endless), Step("bad", fails)], events.append), 5)
    assert failure.value.step == "bad"
    assert cancelled.is_set()
    assert ("bad", "failed") in [(event.step, event.state) for event in events]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([Step("a", _nothing, ("b",)), Step("b", _nothing, ("a",))], "wait for each other"),
        ([Step("a", _nothing, ("ghost",))], "unknown: ghost"),
        ([Step("a", _nothing), Step("a", _nothing)], "same name"),
    ],
)
def test_an_order_that_can_never_start_is_refused(steps: list[Step], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_order(steps)
