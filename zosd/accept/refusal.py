"""A definite no."""

from __future__ import annotations


class Refusal(Exception):
    """The deployment is not accepted and nothing was stored; `str(e)` goes to the caller."""
