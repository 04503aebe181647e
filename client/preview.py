"""What deploying or updating a file would do, and cost, before anything is signed or paid.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from client import price
from client.placed import Placed
from client.planning import Plan, public_ips
from client.price import Price
from gridtypes import Deployment
from tfchain.models import PricingPolicy


@dataclass(frozen=True, slots=True)
class Change:
    """`kind` is `add`, `update`, `remove` or `keep`."""

    kind: str
    workload: str
    type: str


@dataclass(frozen=True, slots=True)
class NodePreview:
    """What happens on one node; `act` is what becomes of its contract: `create`, `update`, `keep` or `cancel`."""

    node: int
    act: str
    contract: int
    changes: tuple[Change, ...]
    price: Price


@dataclass(frozen=True, slots=True)
class Preview:
    name: str
    nodes: tuple[NodePreview, ...]
    balance: int
    """Of the account that pays, in units of 10^-7 TFT."""

    @property
    def price(self) -> Price:
        return price.total(one.price for one in self.nodes)

    @property
    def discount(self) -> tuple[str, int]:
        """Level and per cent that the present balance would earn."""
        return price.discount(self.price, self.balance)


def preview(
    plan: Plan,
    existing: Sequence[Placed],
    policies: Mapping[int, PricingPolicy],
    tft_price: int,
    balance: int,
) -> Preview:
    """`policies`: the pricing policy of each node's farm; `tft_price` in 10^-3 USD."""
    before = {int(one.node): one for one in existing}
    nodes = [
        _node(node, before.get(node), wanted, policies.get(node), tft_price)
        for node, wanted in plan.deployments.items()
    ]
    for node, placed in before.items():
        if node not in plan.deployments:
            old = placed.deployment.workloads if placed.deployment else ()
            gone = tuple(Change("remove", str(one.name), one.type.value) for one in old)
            nodes.append(NodePreview(node, "cancel", placed.contract, gone, Price(0.0, 0)))
    return Preview(plan.name, tuple(nodes), balance)


def _node(
    node: int, placed: Placed | None, wanted: Deployment, policy: PricingPolicy | None, tft_price: int
) -> NodePreview:
    old = placed.deployment if placed else None
    changes = _changes(old, wanted)
    if placed is None or old is None:
        act = "create"
    else:
        act = "keep" if wanted.version == old.version else "update"
    cost = (
        price.monthly(policy, wanted.capacity(), public_ips(wanted), tft_price) if policy else Price(0.0, 0)
    )
    return NodePreview(node, act, placed.contract if placed else 0, changes, cost)


def _changes(old: Deployment | None, wanted: Deployment) -> tuple[Change, ...]:
    known = {one.name: one for one in old.workloads} if old else {}
    found = []
    for one in wanted.workloads:
        if one.name not in known:
            kind = "add"
        else:
            kind = "keep" if one.version == known[one.name].version else "update"
        found.append(Change(kind, str(one.name), one.type.value))
    kept = {one.name for one in wanted.workloads}
    gone = [Change("remove", str(one.name), one.type.value) for one in known.values() if one.name not in kept]
    return (*found, *gone)
