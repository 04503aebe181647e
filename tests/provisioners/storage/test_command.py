"""Running helper programs."""

from __future__ import annotations

import asyncio

import pytest

from provisioners.system.command import CommandFailed, last_lines, run


async def test_the_output_comes_back() -> None:
    assert await run("printf", "a\\nb") == "a\nb"


async def test_a_failure_ends_with_the_programs_last_lines() -> None:
    with pytest.raises(CommandFailed, match=r"exit status 3: one \| two") as failure:
        await run("sh", "-c", "echo one >&2; echo two >&2; exit 3")
    assert failure.value.status == 3
    assert await run("sh", "-c", "exit 3", ok=(0, 3)) == ""


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandFailed, match="no-such-program: cannot be started"):
        await run("no-such-program")


async def test_a_program_that_hangs_is_killed() -> None:
    async with asyncio.timeout(60):
        with pytest.raises(CommandFailed, match=r"not finished after 0\.2 s"):
            await run("sleep", "600", timeout=0.2)


async def test_a_cancelled_caller_takes_the_program_along() -> None:
    task = asyncio.create_task(run("sleep", "60"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)


def test_only_the_end_of_a_long_output_is_kept() -> None:
    assert last_lines("\n".join(map(str, range(10)))) == "6 | 7 | 8 | 9"
    assert len(last_lines("x" * 10_000)) == 600
    assert last_lines("") == ""
