"""The public addresses that node contracts reserve from a farm."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.context import Context
from tfchain.devchain.pallets.contracts.store import error
from tfchain.devchain.pallets.tfgrid.store import FARMS
from tfchain.devchain.records import Farm, PublicIP


def reserve(ctx: Context, farm: Farm, contract_id: int, count: int) -> list[PublicIP]:
    """Take the farm's first free addresses; raises when it has too few, or too few free."""
    if count == 0:
        return []
    if len(farm.public_ips) < count:
        raise error("FarmHasNotEnoughPublicIPs")
    free = [address.ip for address in farm.public_ips if not address.contract_id][:count]
    if len(free) < count:
        raise error("FarmHasNotEnoughPublicIPsFree")
    addresses = [
        replace(address, contract_id=contract_id) if address.ip in free else address
        for address in farm.public_ips
    ]
    FARMS.put(ctx, farm.id, replace(farm, public_ips=addresses))
    return [address for address in addresses if address.ip in free]


def free(ctx: Context, farm_id: int, contract_id: int) -> list[PublicIP]:
    """Give back what a contract reserves; the freed addresses, as the farm has them now."""
    farm = FARMS.get(ctx, farm_id)
    if farm is None:
        return []
    mine = [address.ip for address in farm.public_ips if address.contract_id == contract_id]
    addresses = [
        replace(address, contract_id=0) if address.ip in mine else address for address in farm.public_ips
    ]
    FARMS.put(ctx, farm_id, replace(farm, public_ips=addresses))
    return [address for address in addresses if address.ip in mine]
