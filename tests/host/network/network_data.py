"""Data of `network` workloads: the same network as it is told to each of its nodes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from nacl.bindings import crypto_scalarmult_base


@dataclass(frozen=True)
class Part:
    """One node's part of network 10.50.0.0/16."""

    number: int
    """Third octet of the subnet."""
    port: int
    address: str
    """Where the node's tunnel can be reached."""

    @property
    def private_key(self) -> bytes:
        return hashlib.sha256(f"part {self.number}".encode()).digest()

    @property
    def public_key(self) -> str:
        return base64.b64encode(crypto_scalarmult_base(self.private_key)).decode()

    @property
    def subnet(self) -> str:
        return f"10.50.{self.number}.0/24"

    def peer(self) -> dict[str, Any]:
        return {
            "subnet": self.subnet,
            "wireguard_public_key": self.public_key,
            "allowed_ips": [self.subnet, f"100.64.50.{self.number}/32"],
            "endpoint": f"{self.address}:{self.port}" if self.address else "",
        }

    def data(self, *others: Part) -> dict[str, Any]:
        """The workload's data on this node, with the others as peers."""
        return {
            "ip_range": "10.50.0.0/16",
            "subnet": self.subnet,
            "wireguard_private_key": base64.b64encode(self.private_key).decode(),
            "wireguard_listen_port": self.port,
            "peers": [other.peer() for other in others],
        }
