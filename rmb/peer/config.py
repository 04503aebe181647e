"""The configuration of `rmb-peer`: one TOML file, every key also as `ZOS_<SECTION>_<KEY>`.

The smallest file::

    [identity]
    key_file = "/var/lib/zos/key"

    [chain]
    urls = ["ws://10.99.0.254:9944"]

    [listen]
    overlay = true
    namespace = "ndmz"

Times are seconds, sizes bytes.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gridtypes import TwinId
from rmb.gen1.address import DEFAULT_PORT, split_address
from rmb.gen2.relay_list import RelayList
from rmb.peer.store import StoreLimits
from rmb.redis_link import DEFAULT_SOCKET, RedisAddress
from rmb.settings import Section

Twin = Annotated[int, Field(ge=1, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class RedisSection(Section):
    url: str = f"unix://{DEFAULT_SOCKET}"
    """Where the local clients and services push their messages."""

    @field_validator("url")
    @classmethod
    def _readable(cls, value: str) -> str:
        RedisAddress.parse(value)
        return value


class IdentitySection(Section):
    key_file: Path
    """The twin's secret key, mode 0600.  Waited for when it does not exist yet; never made here."""
    key_type: Literal["ed25519", "sr25519"] = "ed25519"
    """Of a key file that names no type."""
    twin: int = Field(default=0, ge=0, le=2**32 - 1)
    """Our twin id; 0: asked from the directory."""


class ChainSection(Section):
    urls: tuple[str, ...] = ()
    """WebSocket addresses, tried in order; none: only the twins of [twins] are known."""


class TwinsSection(Section):
    """What is known without chain and overlay."""

    addresses: dict[Twin, str] = Field(default_factory=dict)
    """Twin id → `address[:port]` of its peer; all others are looked for on the overlay."""
    keys: dict[Twin, str] = Field(default_factory=dict)
    """Twin id → public key, 64 hex digits."""

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, value: dict[int, str]) -> dict[int, str]:
        for address in value.values():
            split_address(address)
        return value

    @field_validator("keys")
    @classmethod
    def _keys(cls, value: dict[int, str]) -> dict[int, str]:
        for twin, key in value.items():
            try:
                size = len(bytes.fromhex(key.removeprefix("0x")))
            except ValueError:
                size = 0
            if size != 32:
                raise ValueError(f"the key of twin {twin} is no 32 bytes in hex: {key!r}")
        return value

    def public_keys(self) -> dict[TwinId, bytes]:
        return {TwinId(twin): bytes.fromhex(key.removeprefix("0x")) for twin, key in self.keys.items()}


class ListenSection(Section):
    addresses: tuple[str, ...] = ()
    """`address[:port]` each, in our own network namespace."""
    overlay: bool = False
    """Also on the Yggdrasil daemon's own 200::/8 address; it is waited for."""
    namespace: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    """Name below /run/netns in which that daemon runs; "": our own.  Connections to the overlay start there too."""
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65535)
    """On the overlay address."""

    @field_validator("addresses")
    @classmethod
    def _numeric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ip_address(split_address(address)[0])
        return value


class RelaysSection(Section):
    """Generation 2; none: the peer speaks generation 1 alone."""

    urls: tuple[str, ...] = ()
    """`wss://host` of the relays on which we can be reached, at most four."""
    register_twin: bool = True
    """Write their names and our key for encryption into our twin on the chain, where they differ."""

    @field_validator("urls")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            RelayList.parse(value, update_twin=False)
        return value


class ServicesSection(Section):
    generation2: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")], ...] = ()
    """Commands, or their first words, whose services read requests in generation 2's form, as the existing `rmb-peer`
    hands them over: `zos` means `zos` and all that begins with `zos.`."""


class LimitsSection(Section):
    backlog: Count = 10_000
    """Own requests without an answer."""
    unread: Count = 10_000
    """Requests in the list of one command."""
    pending: Count = 10_000
    """Requests of others that no service answered yet; then of one twin, and the same in bytes."""
    pending_per_twin: Count = 256
    pending_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    pending_bytes_per_twin: int = Field(default=32 * 1024 * 1024, ge=1024)
    connections: Count = 512
    """That others hold open to us, and HTTP requests that are handled at once."""
    sending: Count = 128
    """HTTP requests that we send at once."""

    def store(self) -> StoreLimits:
        return StoreLimits(
            backlog=self.backlog,
            unread=self.unread,
            pending=self.pending,
            pending_bytes=self.pending_bytes,
            pending_per_twin=self.pending_per_twin,
            pending_bytes_per_twin=self.pending_bytes_per_twin,
        )


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""


class PeerConfig(Section):
    redis: RedisSection = RedisSection()
    identity: IdentitySection
    chain: ChainSection = ChainSection()
    twins: TwinsSection = TwinsSection()
    listen: ListenSection = ListenSection()
    relays: RelaysSection = RelaysSection()
    services: ServicesSection = ServicesSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
