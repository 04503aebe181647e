"""Farms and their public addresses."""

from __future__ import annotations

from collections.abc import Sequence

from gridtypes.ids import FarmId
from tfchain.keys import Identity
from tfchain.reads import TFGRID
from tfchain.writes.submitting import Submitting, stored


class FarmWrites(Submitting):
    async def create_farm(
        self, key: Identity, name: str, public_ips: Sequence[tuple[str, str]] = ()
    ) -> FarmId:
        """Make a farm; `public_ips` are (address in CIDR form, gateway)."""
        addresses = [{"ip": ip.encode(), "gw": gateway.encode()} for ip, gateway in public_ips]
        arguments = {"name": name.encode(), "public_ips": addresses}
        receipt = await self.submit(key, TFGRID, "create_farm", arguments)
        return FarmId(stored(receipt, TFGRID, "FarmStored")["id"])

    async def add_farm_ip(self, key: Identity, farm: FarmId, ip: str, gateway: str) -> None:
        """Add a public address in CIDR form."""
        arguments = {"farm_id": farm, "ip": ip.encode(), "gw": gateway.encode()}
        await self.submit(key, TFGRID, "add_farm_ip", arguments)

    async def remove_farm_ip(self, key: Identity, farm: FarmId, ip: str) -> None:
        """Remove a public address that no contract holds."""
        await self.submit(key, TFGRID, "remove_farm_ip", {"farm_id": farm, "ip": ip.encode()})

    async def update_farm(self, key: Identity, farm: FarmId, name: str) -> None:
        """Rename a farm."""
        await self.submit(key, TFGRID, "update_farm", {"farm_id": farm, "name": name.encode()})

    async def set_farm_payout_address(self, key: Identity, farm: FarmId, stellar_address: str) -> None:
        """Say to which Stellar address the farm's income goes."""
        arguments = {"farm_id": farm, "stellar_address": stellar_address.encode()}
        await self.submit(key, TFGRID, "add_stellar_payout_v2address", arguments)
