"""Values of configurations, which are texts where they come from a file."""

from __future__ import annotations

from typing import Any, Final

TRUE: Final = frozenset(("true", "1", "yes", "on", "t", "y"))


def true_value(value: Any) -> bool:
    """Whether a value says yes; None says no."""
    return value is True or (isinstance(value, str) and value.strip().lower() in TRUE) or value == 1


def int_value(value: Any, default: int) -> int:
    """A number; the default for None and an empty text; ValueError for what is no number."""
    return default if value in (None, "") else int(value)


def float_value(value: Any, default: float) -> float:
    """A number; the default for None and an empty text; ValueError for what is no number."""
    return default if value in (None, "") else float(value)
