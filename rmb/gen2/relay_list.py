"""The relays of a peer, and what can be written of them into its twin on the chain.

The chain takes host names joined by `_`: no scheme, no port, no address.  Others find a twin by these names alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_RELAYS: Final = 4


@dataclass(frozen=True, slots=True)
class RelayList:
    """Relays that a peer may use; `parse` makes one."""

    urls: tuple[str, ...]
    """Where to connect, one for each host."""
    hosts: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """What works for us but not for everybody."""

    @property
    def twin_field(self) -> str:
        """Text for the twin's record."""
        return "_".join(self.hosts)

    def matches(self, field: str | None) -> bool:
        """Whether a twin's record names the same relays, in whatever order."""
        return set((field or "").lower().split("_")) == set(self.hosts)

    @classmethod
    def parse(cls, urls: Sequence[str], *, update_twin: bool = True) -> RelayList:
        """Read `ws://` and `wss://` URLs; doubles go.  `update_twin`: they will be written into the twin.

        Raises ValueError that says what to change.
        """
        by_place: dict[tuple[str, int], str] = {}
        warnings = []
        for url in urls:
            parts = _split(url)
            host = parts.hostname or ""
            if _is_address(host) and update_twin:
                raise ValueError(
                    f"relay {url}: the chain takes host names only, no address {host}; "
                    "give the relay a name, or switch off the update of the twin"
                )
            default = 443 if parts.scheme == "wss" else 80
            port = parts.port or default
            if port != default:
                warnings.append(
                    f"relay {url}: the chain takes host names only, so others will look for {host} "
                    f"on the standard port and not on {port}"
                )
            by_place.setdefault((host, port), url)
        if not by_place:
            raise ValueError("no relay is configured: give at least one")
        if len(by_place) > MAX_RELAYS:
            raise ValueError(f"{len(by_place)} relays are configured, a twin has at most {MAX_RELAYS}")
        hosts = tuple(dict.fromkeys(host for host, _ in by_place))
        return cls(tuple(by_place.values()), hosts, tuple(warnings))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or parts.scheme not in ("ws", "wss"):
        raise ValueError(f"relay {url!r}: expected ws://host or wss://host")
    if "_" in (parts.hostname or ""):
        raise ValueError(f"relay {url}: a host name with _ cannot be told from two names on the chain")
    return parts


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
