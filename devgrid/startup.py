"""Start everything that can start side by side; stop at the first that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, after the steps that it names."""

    name: str
    act: Callable[[], Awaitable[None]]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of a step; `state` is `waiting`, `starting`, `ready` or `failed`."""

    step: str
    state: str
    seconds: float = 0.0
    detail: str = ""


class StartFailed(Exception):
    """A step failed; `step` is its name, the message the reason."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step


def check_order(steps: Sequence[Step]) -> None:
    """Raises ValueError when a step waits for one that does not exist, for itself, or in a circle."""
    known = {step.name for step in steps}
    if len(known) != len(steps):
        raise ValueError("two steps have the same name")
    done: set[str] = set()
    left = list(steps)
    while left:
        ready = [step for step in left if set(step.after) <= done]
        if not ready:
            unknown = {name for step in left for name in step.after} - known
            reason = f"unknown: {', '.join(sorted(unknown))}" if unknown else "they wait for each other"
            raise ValueError(f"steps {', '.join(step.name for step in left)} can never start; {reason}")
        done |= {step.name for step in ready}
        left = [step for step in left if step.name not in done]


async def run_steps(steps: Sequence[Step], report: Callable[[Progress], None]) -> None:
    """Run all steps, each as soon as those before it are done.  Raises StartFailed for the first that fails."""
    check_order(steps)
    finished = {step.name: asyncio.Event() for step in steps}

    async def one(step: Step) -> None:
        for name in step.after:
            await finished[name].wait()
        report(Progress(step.name, "starting"))
        started = time.monotonic()
        try:
            await step.act()
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            report(Progress(step.name, "failed", time.monotonic() - started, str(problem)))
            raise StartFailed(step.name, str(problem) or type(problem).__name__) from problem
        report(Progress(step.name, "ready", time.monotonic() - started))
        finished[step.name].set()

    for step in steps:
        report(Progress(step.name, "waiting"))
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step), name=step.name)
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from None
