"""How far a long command is, on the standard error stream when that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int, int | None], None]
"""Called with what is done and with all there is, as far as that is known."""


@contextmanager
def progress(text: str, total: int | None) -> Iterator[Advance]:
    """A bar while this lasts."""
    console = Console(stderr=True)
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(text, total=total)
        yield lambda done, of: shown.update(task, completed=done, total=of)
