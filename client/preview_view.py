"""What `zos plan` shows."""

from __future__ import annotations

from typing import Any

from client import amounts
from client.preview import NodePreview, Preview
from client.price import Price
from client.terminal import print_json
from client.view import out, plain

MARKS = {"add": "[green]+[/]", "update": "[yellow]~[/]", "remove": "[red]-[/]", "keep": " "}
ACTS = {
    "create": "a new contract",
    "update": "contract {} changes",
    "keep": "contract {} stays as it is",
    "cancel": "contract {} is cancelled, with its data",
}


def show(found: Preview, as_json: bool) -> None:
    if as_json:
        print_json(_plain(found))
        return
    for node in found.nodes:
        act = ACTS[node.act].format(node.contract)
        out.print(f"[bold]node {node.node}[/]  {act}  {_price(node.price)}", soft_wrap=True)
        for change in node.changes:
            out.print(
                f"  {MARKS[change.kind]} {plain(change.type):12} {plain(change.workload)}", soft_wrap=True
            )
    level, percent = found.discount
    out.print(f"[bold]{_price(found.price)}[/] before discount", soft_wrap=True)
    if percent:
        out.print(f"your balance would earn {percent} % off ({level})", soft_wrap=True)
    out.print("nothing was signed or paid", soft_wrap=True)


def _price(price: Price) -> str:
    shown = f"{price.usd:.2f} USD"
    return f"{shown}, {amounts.show(price.units)} in 30 days" if price.units else f"{shown} in 30 days"


def _plain(found: Preview) -> dict[str, Any]:
    level, percent = found.discount
    return {
        "name": found.name,
        "nodes": [_node(node) for node in found.nodes],
        "monthly_usd": round(found.price.usd, 7),
        "monthly_units": found.price.units,
        "discount": level,
        "discount_percent": percent,
    }


def _node(node: NodePreview) -> dict[str, Any]:
    return {
        "node": node.node,
        "act": node.act,
        "contract": node.contract,
        "monthly_usd": round(node.price.usd, 7),
        "monthly_units": node.price.units,
        "changes": [{"kind": one.kind, "workload": one.workload, "type": one.type} for one in node.changes],
    }
