"""What a lease store promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


class LeaseError(Exception):
    """The store cannot be reached or does not answer; nothing is known about who holds what."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A key's holder. `token` is unique in the store and grows with every change of holder of any key, so that
    tokens of different keys can be compared; `expires` is in seconds of this machine's clock since boot."""

    key: str
    holder: str
    token: int
    expires: float


class LeaseStore(ABC):
    """One holder a key at any time. A holder is `address#incarnation`; another incarnation of the same address may
    take the lease at once, under a new token, because the address proves that its predecessor is gone."""

    @abstractmethod
    async def acquire(self, key: str, holder: str, ttl: float, above: int = 0) -> Lease:
        """Take the lease if it is free, expired or one's own; the lease as it is afterwards, whoever holds it.

        `ttl` is in seconds; a new token is greater than `above`. Raises LeaseError.
        """

    @abstractmethod
    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        """Prolong one's own lease; None when it is no longer one's own. Raises LeaseError."""

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give the lease up; nothing happens when it is not one's own any more. Raises LeaseError."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the store; leases held stay until they expire."""


def address_of(holder: str) -> str:
    """The address in `address#incarnation`."""
    return holder.partition("#")[0]
