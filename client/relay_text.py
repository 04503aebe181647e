"""The relays of a twin as the chain takes them: host names joined by `_`.

People copy addresses from manuals, with scheme and path; the chain wants the host alone.
"""

from __future__ import annotations

from urllib.parse import urlsplit

JOINT = "_"
DEFAULT_PORTS = (None, 443)


def host_names(text: str) -> str:
    """The text for the chain; empty for none.  Raises ValueError for a port that cannot be registered."""
    return JOINT.join(_host(each) for each in text.replace(",", JOINT).split(JOINT) if each.strip())


def _host(text: str) -> str:
    given = text.strip()
    parts = urlsplit(given if "//" in given else f"//{given}")
    if parts.port not in DEFAULT_PORTS:
        raise ValueError(
            f"relay {given!r} has port {parts.port}: the chain keeps host names, so 443 is the only one"
        )
    if not parts.hostname:
        raise ValueError(f"relay {given!r} has no host name: write it as relay.example.org")
    return parts.hostname
