"""What capacity costs on the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from tfchain.models.values import Struct, variant

UNIT_BYTES = {
    "Bytes": 1,
    "Kilobytes": 1 << 10,
    "Megabytes": 1 << 20,
    "Gigabytes": 1 << 30,
    "Terrabytes": 1 << 40,
}
"""The runtime's own spelling."""


@dataclass(frozen=True, slots=True)
class PricingPolicy:
    """Prices in 10^-7 USD an hour."""

    storage: int
    """Of a storage unit."""
    storage_bytes: int
    """What bytes are divided by before they become storage units."""
    compute: int
    compute_bytes: int
    public_ip: int
    unique_name: int
    dedicated_percent: int
    """Per cent that the tenant of a whole node pays."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        """Raises KeyError for a unit that this version does not know."""
        return cls(
            storage=int(value["su"]["value"]),
            storage_bytes=_bytes(value["su"]["unit"]),
            compute=int(value["cu"]["value"]),
            compute_bytes=_bytes(value["cu"]["unit"]),
            public_ip=int(value["ipu"]["value"]),
            unique_name=int(value["unique_name"]["value"]),
            dedicated_percent=int(value["discount_for_dedication_nodes"]),
        )


def _bytes(unit: Any) -> int:
    return UNIT_BYTES[variant(unit)[0]]
