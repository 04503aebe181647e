"""Farms and the public addresses that they rent out."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.tfgrid import validation
from tfchain.devchain.pallets.tfgrid.store import (
    FARM_BY_NAME,
    FARM_ID,
    FARM_PAYOUT,
    FARMS,
    PALLET,
    caller_twin,
    error,
    farm,
    own_farm,
)
from tfchain.devchain.records import Farm, GatewayAddress, PublicIP
from tfchain.devchain.storage import next_id

FARM_VERSION = 4
MOST_ADDRESSES = 256


def create_farm(ctx: Context, name: bytes, public_ips: list[GatewayAddress]) -> None:
    twin = caller_twin(ctx)
    if FARM_BY_NAME.has(ctx, name):
        raise error("FarmExists")
    validation.farm_name(name)
    addresses: list[PublicIP] = []
    for given in public_ips:
        addresses = _with_address(addresses, given.ip, given.gw)
    store_farm(ctx, twin, name, addresses)


def store_farm(
    ctx: Context, twin: int, name: bytes, addresses: list[PublicIP], *, dedicated: bool = False
) -> int:
    farm_id = next_id(ctx, FARM_ID)
    made = Farm(FARM_VERSION, farm_id, name, twin, 1, "NotCertified", addresses, dedicated, None)
    FARMS.put(ctx, farm_id, made)
    FARM_BY_NAME.put(ctx, name, farm_id)
    ctx.deposit(PALLET, "FarmStored", made)
    return farm_id


def update_farm(ctx: Context, farm_id: int, name: bytes) -> None:
    """Rename; the same name again succeeds without an event."""
    found = own_farm(ctx, farm_id, farm_first=False)
    validation.farm_name(name)
    holder = FARM_BY_NAME.get(ctx, name)
    if holder == farm_id:
        return
    if holder:
        raise error("InvalidFarmName")
    FARM_BY_NAME.delete(ctx, found.name)
    FARM_BY_NAME.put(ctx, name, farm_id)
    _store(ctx, replace(found, name=name))


def add_stellar_payout_v2address(ctx: Context, farm_id: int, stellar_address: bytes) -> None:
    own_farm(ctx, farm_id, farm_first=False)
    FARM_PAYOUT.put(ctx, farm_id, stellar_address)
    ctx.deposit(PALLET, "FarmPayoutV2AddressRegistered", (farm_id, stellar_address))


def add_farm_ip(ctx: Context, farm_id: int, ip: bytes, gw: bytes) -> None:
    found = own_farm(ctx, farm_id, farm_first=True)
    _store(ctx, replace(found, public_ips=_with_address(found.public_ips, ip, gw)))


def remove_farm_ip(ctx: Context, farm_id: int, ip: bytes) -> None:
    """Take an address out; one that a contract reserves counts as not there."""
    found = own_farm(ctx, farm_id, farm_first=True)
    kept = [address for address in found.public_ips if address.ip != ip or address.contract_id]
    if len(kept) == len(found.public_ips):
        raise error("IpNotExists")
    _store(ctx, replace(found, public_ips=kept))


def set_farm_certification(ctx: Context, farm_id: int, certification: str) -> None:
    ctx.require_root_or_council()
    FARMS.put(ctx, farm_id, replace(farm(ctx, farm_id), certification=certification))
    ctx.deposit(PALLET, "FarmCertificationSet", (farm_id, certification))


def set_farm_dedicated(ctx: Context, farm_id: int, dedicated: bool) -> None:
    ctx.require_root_or_council()
    _store(ctx, replace(farm(ctx, farm_id), dedicated_farm=dedicated))


def force_reset_farm_ip(ctx: Context, farm_id: int, ip: bytes) -> None:
    """Make an address free whatever reserves it."""
    ctx.require_root_or_council()
    found = farm(ctx, farm_id)
    if all(address.ip != ip for address in found.public_ips):
        raise error("IpNotExists")
    freed = [replace(address, contract_id=0) if address.ip == ip else address for address in found.public_ips]
    _store(ctx, replace(found, public_ips=freed))


def _with_address(addresses: list[PublicIP], ip: bytes, gateway: bytes) -> list[PublicIP]:
    validation.farm_address(ip, gateway)
    if any(address.ip == ip for address in addresses):
        raise error("IpExists")
    if len(addresses) >= MOST_ADDRESSES:
        raise error("InvalidPublicIP")
    return [*addresses, PublicIP(ip, gateway, 0)]


def _store(ctx: Context, changed: Farm) -> None:
    FARMS.put(ctx, changed.id, changed)
    ctx.deposit(PALLET, "FarmUpdated", changed)


CALLS: dict[str, Handler] = {
    "create_farm": create_farm,
    "update_farm": update_farm,
    "add_stellar_payout_v2address": add_stellar_payout_v2address,
    "add_farm_ip": add_farm_ip,
    "remove_farm_ip": remove_farm_ip,
    "set_farm_certification": set_farm_certification,
    "set_farm_dedicated": set_farm_dedicated,
    "force_reset_farm_ip": force_reset_farm_ip,
}
