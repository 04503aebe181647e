"""Where a sequence stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Cursor:
    """The position in a list of `length` lines, which is a ring unless a line ends it.

    `line` is None once the sequence has stopped.
    """

    length: int
    is_ring: bool
    line: int | None = 0

    def __post_init__(self) -> None:
        if self.length == 0:
            self.line = None

    def shift(self, line: int) -> None:
        """Go to a line, counted modulo the length.

        Without a ring there is no way back: a line that was passed stops the sequence.
        """
        if self.line is None:
            return
        wanted = line % self.length
        self.line = None if wanted < self.line and not self.is_ring else wanted

    def restart(self) -> None:
        """Begin at the first line, also after the end."""
        self.line = 0 if self.length else None

    def remaining(self) -> list[int]:
        """The lines to come, in order."""
        if self.line is None:
            return []
        ahead = list(range(self.line, self.length))
        return [*ahead, *range(self.line)] if self.is_ring else ahead
