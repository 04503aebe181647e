"""What an extrinsic costs."""

from __future__ import annotations

BASE_FEE = 10_000
"""Units for every extrinsic (0.001 TFT)."""


def fee_of(length: int, tip: int = 0) -> int:
    """Fee in units for `length` encoded bytes, length prefix included; the weight costs nothing."""
    return BASE_FEE + length + tip
