"""Run many coroutines at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

PARALLEL = 16


async def side_by_side(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in the order of `jobs`.  The first failure ends the others and is raised as it is."""
    limit = asyncio.Semaphore(PARALLEL)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with limit:
            return await job

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in jobs]
    except BaseExceptionGroup as problems:
        raise first_error(problems) from problems
    finally:
        for job in jobs:
            job.close()  # one that never began
    return [task.result() for task in tasks]


def first_error(problem: BaseException) -> BaseException:
    """The innermost first error; task groups wrap it."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem


def text_of(problem: BaseException) -> str:
    """The text of the innermost first error, or its name when it has none."""
    inner = first_error(problem)
    return str(inner) or type(inner).__name__
