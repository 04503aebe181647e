"""Where the peer of a twin listens: the static map first, else the overlay address that its key gives (decision 19)."""

from __future__ import annotations

from collections.abc import Mapping

from gridtypes import TwinId
from rmb.errors import RmbError
from rmb.gen1.address import join_address, split_address
from rmb.peer.directory import TwinDirectory
from tfchain.planetary_address import planetary_address


class UnknownTwin(RmbError):
    """There is no such twin: asking again will not help."""


class Locator:
    """Finds the `host:port` of a twin's peer."""

    def __init__(self, addresses: Mapping[int, str], directory: TwinDirectory, port: int) -> None:
        """`port`: where peers on the overlay listen."""
        self._addresses = {twin: split_address(address) for twin, address in addresses.items()}
        self._directory = directory
        self._port = port

    async def address_of(self, twin: int) -> str:
        """Raises UnknownTwin, and DirectoryUnavailable when the directory cannot be asked."""
        known = self._addresses.get(twin)
        if known is not None:
            return join_address(*known)
        key = await self._directory.public_key(TwinId(twin))
        if key is None:
            raise UnknownTwin(f"twin {twin} not found")
        return join_address(str(planetary_address(key)), self._port)
