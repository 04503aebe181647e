"""At most so many acts in a second."""

from __future__ import annotations

import threading
import time


class Rate:
    """Spaces out acts evenly over all threads: `per_second` of them, or any number when it is 0."""

    def __init__(self, per_second: float) -> None:
        if per_second < 0:
            raise ValueError(f"rate {per_second}: a number from 0 on is expected")
        self._interval = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, stop: threading.Event | None = None) -> bool:
        """Wait for one's turn; False when `stop` was set before."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._interval
        pause = turn - time.monotonic()
        if pause <= 0:
            return not (stop and stop.is_set())
        if stop is not None:
            return not stop.wait(pause)
        time.sleep(pause)
        return True
