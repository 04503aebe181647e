"""Names under which a grid's services are reached.  Pure."""

from __future__ import annotations

from devgrid import layout

DOMAIN = "devgrid"
CHAIN = f"tfchain.{DOMAIN}"
PROXY = f"gridproxy.{DOMAIN}"
GRAPHQL = f"graphql.{DOMAIN}"
ACTIVATION = f"activation.{DOMAIN}"
KYC = "kyc.dev.grid.tf"
"""Existing clients take this name from the network's and let nobody choose another."""

ALL = (layout.RELAY_HOST, CHAIN, PROXY, GRAPHQL, ACTIVATION, KYC)


def hosts_line(address: str) -> str:
    """A line of `/etc/hosts` that leads to the front."""
    return f"{address} {' '.join(ALL)}"


def urls() -> dict[str, str]:
    """Service → URL, as existing clients take them."""
    return {
        "relay": f"wss://{layout.RELAY_HOST}",
        "chain": f"wss://{CHAIN}/ws",
        "proxy": f"https://{PROXY}",
        "graphql": f"https://{GRAPHQL}/graphql",
        "activation": f"https://{ACTIVATION}/activation/activate",
        "kyc": f"https://{KYC}",
    }
