"""The configuration of `rmb-relay`: one TOML file, every key also as `ZOS_<SECTION>_<KEY>`, and the command line.

The smallest file::

    [relay]
    domains = ["relay.example.org"]

    [chain]
    urls = ["wss://tfchain.example.org"]

Times are seconds, sizes bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from rmb.relay.stores.redis_connection import addresses, connect
from rmb.settings import Section


class RelaySection(Section):
    domains: tuple[str, ...] = Field(min_length=1)
    """Our own host names: twins that have one of them registered are ours."""
    listen: str = "[::]:8080"
    """`address:port`, or `[address]:port`."""
    sessions: int = Field(default=500_000, ge=1)
    """Most sessions that are connected at the same time."""
    largest: int = Field(default=20 << 20, ge=1024)
    """Of one envelope."""
    ping: float = Field(default=30.0, ge=0)
    """How often a silent peer is asked whether it is still there; 0: never."""
    federation_scheme: Literal["https", "http"] = "https"
    """How other relays are reached; `http` is for grids on one machine."""
    others: dict[str, str] = Field(default_factory=dict)
    """Host name → `host:port` of relays that are not reached under their own name."""
    drain: float = Field(default=5.0, ge=0)
    """Between the order to stop and the end: health says "draining", connections are let go one after the other."""

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        split_listen(value)
        return value


class StoreSection(Section):
    redis: str = ""
    """`redis://host:port` or `unix:///path`: shared by the processes of a relay.  Empty: a file of our own."""
    cluster: bool = False
    """It is a Redis Cluster; `redis` names one of its nodes, or several between commas."""
    file: Path = Path("/var/lib/rmb-relay/messages.db")
    """Where messages wait without Redis."""
    always: bool = False
    """Keep every message before it is handed over, also to a peer that is connected: a kill loses nothing then."""

    @field_validator("redis")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            addresses(value)
        return value

    @model_validator(mode="after")
    def _fitting(self) -> StoreSection:
        if self.cluster and not self.redis:
            raise ValueError("cluster = true needs the address of a node in `redis`")
        if self.redis:
            connect(addresses(self.redis), cluster=self.cluster)
        return self


class ChainSection(Section):
    urls: tuple[str, ...] = Field(min_length=1)


class LimitSection(Section):
    """What one twin may send in a minute; 0 for no limit."""

    count: int = Field(default=0, ge=0)
    size: int = Field(default=0, ge=0)


class RankerSection(Section):
    period: float = Field(default=3600.0, gt=0)
    """For so long a failure of another relay counts."""


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class RelayConfig(Section):
    relay: RelaySection
    chain: ChainSection
    store: StoreSection = StoreSection()
    limit: LimitSection = LimitSection()
    ranker: RankerSection = RankerSection()
    log: LogSection = LogSection()


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of `address:port`.  Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r}: expected address:port, for example [::]:8080")
    return host.strip("[]") or "::", int(port)
