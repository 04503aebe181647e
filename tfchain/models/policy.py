"""Terms of the grid: what capacity costs, and what farmers get for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from tfchain.models.values import Struct, text

NEW = 0
"""The id of terms that the chain does not hold yet."""

PRICES = ("su", "cu", "nu", "ipu", "unique_name", "domain_name")


@dataclass(frozen=True, slots=True)
class Policy:
    """One price."""

    value: int
    """In 10^-7 USD for an hour and unit."""
    unit: str = "Gigabytes"
    """`Bytes`, `Kilobytes`, `Megabytes`, `Gigabytes` or `Terrabytes`, spelt as the chain does."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(value["value"], value["unit"])

    def to_value(self) -> Struct:
        return {"value": self.value, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class PricingPolicy:
    """A price list; farms and so their nodes are bound to one."""

    name: str
    su: Policy
    """Storage units."""
    cu: Policy
    """Compute units."""
    nu: Policy
    """Network use."""
    ipu: Policy
    """Public addresses."""
    unique_name: Policy
    """Names of gateways."""
    domain_name: Policy
    foundation_account: bytes
    certified_sales_account: bytes
    discount_for_dedication_nodes: int
    """Per cent, for who rents a whole node."""
    id: int = NEW

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            name=text(value["name"]),
            **{price: Policy.from_value(value[price]) for price in PRICES},
            foundation_account=value["foundation_account"],
            certified_sales_account=value["certified_sales_account"],
            discount_for_dedication_nodes=value["discount_for_dedication_nodes"],
            id=value["id"],
        )

    def to_value(self) -> dict[str, Any]:
        """As arguments of the calls that make or change it; without the id."""
        return {
            "name": self.name.encode(),
            **{price: getattr(self, price).to_value() for price in PRICES},
            "foundation_account": self.foundation_account,
            "certified_sales_account": self.certified_sales_account,
            "discount_for_dedication_nodes": self.discount_for_dedication_nodes,
        }


@dataclass(frozen=True, slots=True)
class FarmingPolicy:
    """What a farmer earns; prices in mUSD for a month and unit."""

    name: str
    cu: int
    su: int
    nu: int
    ipv4: int
    minimal_uptime: int
    """Share of the month that a node has to be up; the chain itself does not look at it."""
    policy_end: int
    """Blocks from its making after which farms cannot be bound to it any more; 0 for no end."""
    immutable: bool
    default: bool
    node_certification: str
    """`Diy` or `Certified`: the least that a node has to be."""
    farm_certification: str
    """`NotCertified` or `Gold`: the least that a farm has to be."""
    policy_created: int = 0
    """Block; given by the chain."""
    id: int = NEW

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        kept = {field.name: value[field.name] for field in fields(cls) if field.name != "name"}
        return cls(name=text(value["name"]), **kept)

    def to_value(self) -> dict[str, Any]:
        """As arguments of the call that changes it; without the id, and what cannot be changed."""
        given = {"name", "policy_created", "immutable", "id"}
        kept = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in given}
        return {"name": self.name.encode(), **kept}
