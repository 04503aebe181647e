"""Until when a request may take."""

from __future__ import annotations

import time

from oio.common.exceptions import OioTimeout


def monotonic_time() -> float:
    """Seconds of the clock that deadlines are counted on."""
    return time.monotonic()


def timeout_to_deadline(timeout: float | None, now: float | None = None) -> float | None:
    """The deadline that lies `timeout` seconds ahead; None for no timeout."""
    if timeout is None:
        return None
    return (monotonic_time() if now is None else now) + timeout


def deadline_to_timeout(deadline: float, check: bool = False) -> float:
    """Seconds until a deadline; with `check`, OioTimeout when it has passed."""
    left = deadline - monotonic_time()
    if check and left <= 0:
        raise OioTimeout("Timeout already reached")
    return left
