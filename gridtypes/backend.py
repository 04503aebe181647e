"""Backends of gateways: what may be proxied to, and in which form.

With TLS passthrough a backend is `<ip>:<port>`, without it `http://<ip>[:port]`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gridtypes.addresses import IPAddress, is_loopback, parse_ip
from gridtypes.go_url import Url, parse_url
from gridtypes.host_port import split_host_port

MAX_PORT = 65535

_DIGITS = re.compile(r"[0-9]+")


def check_backend(backend: str, tls_passthrough: bool) -> None:
    """Raises ValueError with the text that every node gives."""
    if tls_passthrough:
        _parse_host_port(backend)
        return
    try:
        url = parse_url(backend)
    except ValueError as error:
        raise ValueError(f"failed to parse backend with error: {error}") from None
    if url.scheme != "http":
        raise ValueError("scheme expected to be http")
    address = _ip_or_none(url.hostname)
    if address is None or is_loopback(address):
        raise ValueError(f"invalid ip address in backend: {url.hostname}")


def check_backends_on_node(
    backends: Sequence[str], tls_passthrough: bool, node_ips: Sequence[IPAddress]
) -> None:
    """What a node checks when it sets a proxy up.  Raises ValueError.

    All backends are looked at and their errors joined; none may be one of the node's own public addresses.
    """
    errors = []
    for backend in backends:
        try:
            check_backend(backend, tls_passthrough)
        except ValueError as error:
            errors.append(f"failed to validate backend '{backend}': {error}")
    if errors:
        count = "1 error occurred:" if len(errors) == 1 else f"{len(errors)} errors occurred:"
        raise ValueError(count + "\n" + "".join(f"\t* {error}\n" for error in errors) + "\n")
    for backend in backends:
        if backend_ip(backend) in node_ips:
            raise ValueError(f"backend {backend} points to the node's own public IP address")


def backend_address(backend: str) -> str:
    """`host:port` that is proxied to; port 80 when a URL has none.  Raises ValueError."""
    try:
        _parse_host_port(backend)
        return backend
    except ValueError:
        pass
    url = _parse_backend_url(backend, "failed to parse backend as a url")
    return url.host if url.port else f"{url.host}:80"


def backend_ip(backend: str) -> IPAddress:
    """The address of a backend in either form.  Raises ValueError."""
    try:
        return _parse_host_port(backend)
    except ValueError:
        pass
    hostname = _parse_backend_url(backend, "failed to parse backend").hostname
    address = _ip_or_none(hostname)
    if address is None:
        raise ValueError(f"invalid ip address in backend: {hostname}")
    return address


def _parse_backend_url(backend: str, complaint: str) -> Url:
    try:
        return parse_url(backend)
    except ValueError as error:
        raise ValueError(f"{complaint}: {error}") from None


def _parse_host_port(backend: str) -> IPAddress:
    prefix = f"failed to parse backend {backend} with error: "
    try:
        host, port = split_host_port(backend)
    except ValueError as error:
        raise ValueError(f"{prefix}{prefix}{error}") from None  # the text really says it twice
    address = _ip_or_none(host)
    if address is None:
        raise ValueError(f"{prefix}invalid ip")
    # 20 digits hold 2^64 - 1
    number = int(port.lstrip("0")[:21] or 0) if _DIGITS.fullmatch(port) else 1 << 64
    if number >= 1 << 64:
        raise ValueError(f"{prefix}invalid port in backend: {port}")
    if number > MAX_PORT:
        raise ValueError(f"{prefix}port '{port}' must be <= {MAX_PORT}")
    return address


def _ip_or_none(text: str) -> IPAddress | None:
    try:
        return parse_ip(text)
    except ValueError:
        return None
