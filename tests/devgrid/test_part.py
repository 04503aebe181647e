"""A part is kept running, and what it printed is shown when it does not become ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devgrid.part import Part, PartFailed, PartSpec, at_once


def _spec(folder: Path, script: str) -> PartSpec:
    return PartSpec("part", lambda: ("sh", "-c", script), folder / "part.log", at_once)


async def test_a_killed_part_is_started_again(tmp_path: Path) -> None:
    part = Part(_spec(tmp_path, "exec sleep 60"))
    await part.start()
    try:
        first = part.pid
        part.send(9)
        while part.pid in (None, first):
            await asyncio.sleep(0.05)
        assert part.restarts == 1
        assert part.last_exit == -9
    finally:
        await part.stop()
    assert part.pid is None


async def test_a_part_that_never_becomes_ready_shows_the_end_of_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    spec = PartSpec(
        "part",
        lambda: ("sh", "-c", "echo the reason; exec sleep 60"),
        tmp_path / "l",
        never,
        ready_timeout=0.5,
    )
    part = Part(spec)
    try:
        with pytest.raises(PartFailed, match=r"(?s)not ready.*the reason"):
            await part.start()
    finally:
        await part.stop()


async def test_a_part_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devgrid.part.STOP_GRACE_S", 0.3)
    part = Part(_spec(tmp_path, "trap '' TERM; while :; do sleep 0.1; done"))
    await part.start()
    await asyncio.sleep(0.2)
    await asyncio.wait_for(part.stop(), 5)
    assert part.pid is None
