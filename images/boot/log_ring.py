"""The last lines that a unit printed, in memory."""

from __future__ import annotations

from collections import deque

LINES = 2000
LONGEST = 2000
"""Characters of a line; the rest of a longer one is dropped."""


class LogRing:
    """Lines of one unit; stdout is marked `[+]`, stderr `[-]`."""

    def __init__(self, name: str, lines: int = LINES) -> None:
        self.name = name
        self._lines: deque[str] = deque(maxlen=lines)
        self._open = {"+": b"", "-": b""}
        self.count = 0
        """Lines ever written."""

    def feed(self, mark: str, data: bytes) -> list[str]:
        """Take bytes from a pipe and return the lines that are now complete."""
        *whole, rest = (self._open[mark] + data).split(b"\n")
        if len(rest) > LONGEST * 4:
            whole.append(rest)
            rest = b""
        self._open[mark] = rest
        return [self.add(mark, line.decode(errors="replace")) for line in whole]

    def close(self) -> list[str]:
        """Take what is left without a line end, when the process is gone."""
        left = [(mark, data) for mark, data in self._open.items() if data]
        self._open = {"+": b"", "-": b""}
        return [self.add(mark, data.decode(errors="replace")) for mark, data in left]

    def add(self, mark: str, text: str) -> str:
        """Add one line; control characters become blanks, so that a log never moves the screen's cursor."""
        clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST].rstrip("\r"))
        line = f"[{mark}] {self.name}: {clean}"
        self._lines.append(line)
        self.count += 1
        return line

    def tail(self, lines: int = LINES) -> list[str]:
        return list(self._lines)[-lines:] if lines > 0 else []
