"""What a WireGuard link shall know, and the smallest change that brings it there.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, ip_address

KEEPALIVE = 20
"""Seconds between keepalives, for every peer: most nodes and users are behind a router."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A literal address and a UDP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `1.2.3.4:51820` or `[2001:db8::1]:51820`.

        Raises ValueError: a host name is refused, because it would silently become an empty address in the kernel.
        """
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        try:
            address = ip_address(host[1:-1] if bracketed else host)
        except ValueError as error:
            raise ValueError(f"endpoint {text!r} is not a literal address and port") from error
        if not colon or (address.version == 6) != bracketed:
            raise ValueError(f"endpoint {text!r} is not a literal address and port, like 192.0.2.1:51820")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"endpoint {text!r}: port {port!r} is not within 1-65535")
        if address.is_unspecified or address.is_multicast or address.is_loopback:
            raise ValueError(f"endpoint {text!r}: nobody can be reached at {address}")
        return cls(str(address), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    public_key: str
    """Base64, 44 characters."""
    allowed_ips: frozenset[IPv4Network]
    endpoint: Endpoint | None = None
    """None for a peer behind a router: it is the one that calls."""
    keepalive: int = KEEPALIVE


@dataclass(frozen=True, slots=True)
class WireGuardConfig:
    private_key: str = field(repr=False)
    """Base64."""
    listen_port: int
    peers: tuple[Peer, ...] = ()

    def by_key(self) -> dict[str, Peer]:
        """Peers by public key; two declarations of one key are one machine, so their ranges are joined."""
        joined: dict[str, Peer] = {}
        for peer in self.peers:
            other = joined.get(peer.public_key)
            if other is not None:
                peer = replace(
                    peer,
                    allowed_ips=peer.allowed_ips | other.allowed_ips,
                    endpoint=peer.endpoint or other.endpoint,
                )
            joined[peer.public_key] = peer
        return joined


def parse_dump(text: str) -> WireGuardConfig:
    """Read what `wg show <link> dump` prints: first the link, then a line for each peer, tab separated."""
    first, *rest = text.splitlines()
    private_key, _public_key, port, _mark = first.split("\t")
    peers = []
    for line in rest:
        key, _preshared, endpoint, allowed, _handshake, _in, _out, keepalive = line.split("\t")
        peers.append(
            Peer(
                public_key=key,
                allowed_ips=frozenset(
                    IPv4Network(network) for network in allowed.split(",") if "." in network
                ),
                endpoint=Endpoint.parse(endpoint) if endpoint != "(none)" else None,
                keepalive=int(keepalive) if keepalive.isdigit() else 0,
            )
        )
    return WireGuardConfig("" if private_key == "(none)" else private_key, int(port), tuple(peers))


def difference(
    have: WireGuardConfig, want: WireGuardConfig, before: WireGuardConfig | None = None
) -> list[str]:
    """Arguments for one `wg set <link>` that leads from `have` to `want`; empty when nothing differs.

    Peers that do not change are not mentioned, so their sessions go on.  The private key is read from standard
    input.  A peer's endpoint moves when it roams: it is only set back when the wanted one differs from `before`, the
    configuration that was wanted until now.
    """
    arguments: list[str] = []
    if have.listen_port != want.listen_port:
        arguments += ["listen-port", str(want.listen_port)]
    if have.private_key != want.private_key:
        arguments += ["private-key", "/dev/stdin"]
    old, new = have.by_key(), want.by_key()
    earlier = before.by_key() if before else {}
    for key in old.keys() - new.keys():
        arguments += ["peer", key, "remove"]
    for key, peer in new.items():
        settings = _peer_settings(old.get(key), peer, earlier.get(key))
        if settings:
            arguments += ["peer", key, *settings]
    return arguments


def _peer_settings(have: Peer | None, want: Peer, before: Peer | None) -> list[str]:
    settings: list[str] = []
    moved = have is None or have.endpoint is None or before is None or before.endpoint != want.endpoint
    if want.endpoint and moved and (have is None or have.endpoint != want.endpoint):
        settings += ["endpoint", str(want.endpoint)]
    if have is None or have.keepalive != want.keepalive:
        settings += ["persistent-keepalive", str(want.keepalive)]
    if have is None or have.allowed_ips != want.allowed_ips:
        settings += ["allowed-ips", ",".join(sorted(str(network) for network in want.allowed_ips))]
    return settings
