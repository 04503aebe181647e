"""Take back what a run has made, last thing first, and say what could not be taken back (decision 54)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from client.side_by_side import text_of


class NothingToUndo(Exception):
    """Raised by an act of undoing: the thing was never made."""


@dataclass(slots=True)
class UndoStep:
    """How one thing is taken back."""

    what: str
    """Said when it is undone, and when it is not."""
    remedy: str
    """What the user can do when it could not be undone."""
    act: Callable[[], Awaitable[None]]
    """Takes it back.  Raises NothingToUndo, or anything when it fails."""


class Undo:
    """The steps so far.

    A step is noted *before* the thing is tried: an answer that is lost does not mean that nothing happened.
    """

    def __init__(self) -> None:
        self._steps: list[UndoStep] = []

    def note(self, step: UndoStep) -> None:
        self._steps.append(step)

    async def run(self) -> tuple[list[str], list[str]]:
        """Undo everything in reverse.  Returns what was undone, and what was not with reason and remedy."""
        undone: list[str] = []
        left: list[str] = []
        while self._steps:
            step = self._steps.pop()
            try:
                await step.act()
            except NothingToUndo:
                continue
            except Exception as problem:
                left.append(f"{step.what} ({text_of(problem)}): {step.remedy}")
            else:
                undone.append(step.what)
        return undone, left
