"""From the address of a twin, as people and the chain write it, to the URL of its peer."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final

DEFAULT_PORT: Final = 8051


def split_address(address: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """(host without brackets, port) of `v4`, `v4:port`, `v6`, `[v6]`, `[v6]:port`, `name` or `name:port`.

    Raises ValueError that names the address.
    """
    text = address.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"address {address!r}: expected [IPv6]:port")
        return str(IPv6Address(host)), _port(rest[1:], address) if rest else default_port
    if text.count(":") > 1:
        return str(IPv6Address(text)), default_port
    host, colon, port = text.partition(":")
    if not host or any(mark in host for mark in "/?#@ \t\n"):
        raise ValueError(f"address {address!r}: expected a host, or host:port")
    return host, _port(port, address) if colon else default_port


def join_address(host: str, port: int) -> str:
    """The authority part of a URL; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(address: str, endpoint: str) -> str:
    """`http://<address>:8051/<endpoint>`.  Raises ValueError."""
    return f"http://{join_address(*split_address(address))}/{endpoint}"


def _port(text: str, address: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"address {address!r}: {text!r} is no port between 1 and 65535")
    return int(text)
