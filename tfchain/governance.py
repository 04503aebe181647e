"""Calls that only root or the council may make: for `Chain.propose` and `Chain.decide`, or a privileged block of the
development chain.  Pure: each gives the call, nothing is sent.
"""

from __future__ import annotations

from gridtypes.ids import ContractId, FarmId, NodeId
from tfchain.models import FarmingPolicy, FarmingPolicyLimit, PricingPolicy
from tfchain.runtime import Call
from tfchain.writes.nodes import node_certification

TFGRID = "TfgridModule"
CONTRACTS = "SmartContractModule"
PRICE = "TFTPriceModule"


def set_farm_certification(farm: FarmId, certification: str) -> Call:
    """`NotCertified` or `Gold`."""
    return Call(TFGRID, "set_farm_certification", {"farm_id": farm, "certification": certification})


def set_farm_dedicated(farm: FarmId, dedicated: bool) -> Call:
    """Whether nodes of the farm can only be rented whole."""
    return Call(TFGRID, "set_farm_dedicated", {"farm_id": farm, "dedicated": dedicated})


def reset_farm_ip(farm: FarmId, ip: str) -> Call:
    """Free an address whatever contract holds it."""
    return Call(TFGRID, "force_reset_farm_ip", {"farm_id": farm, "ip": ip.encode()})


def set_node_certification(node: NodeId, certification: str) -> Call:
    """`Diy` or `Certified`."""
    return node_certification(node, certification)


def create_pricing_policy(policy: PricingPolicy) -> Call:
    """A new price list; its id is given by the chain."""
    return Call(TFGRID, "create_pricing_policy", policy.to_value())


def update_pricing_policy(policy: PricingPolicy) -> Call:
    """Replace the price list with this id."""
    arguments = {"pricing_policy_id": policy.id, **policy.to_value()}
    return Call(TFGRID, "update_pricing_policy", arguments)


def create_farming_policy(policy: FarmingPolicy) -> Call:
    """New terms for farmers; their id is given by the chain."""
    return Call(TFGRID, "create_farming_policy", {**policy.to_value(), "immutable": policy.immutable})


def update_farming_policy(policy: FarmingPolicy) -> Call:
    """Replace the terms with this id, unless they are immutable."""
    return Call(TFGRID, "update_farming_policy", {"farming_policy_id": policy.id, **policy.to_value()})


def attach_policy_to_farm(farm: FarmId, limits: FarmingPolicyLimit | None) -> Call:
    """Bind a farm to terms of its own, with their limits; None ends that."""
    value = None if limits is None else limits.to_value()
    return Call(TFGRID, "attach_policy_to_farm", {"farm_id": farm, "limits": value})


def set_connection_price(price: int) -> Call:
    """The price with which new nodes begin, in mUSD."""
    return Call(TFGRID, "set_connection_price", {"price": price})


def add_node_certifier(account: bytes) -> Call:
    """Let an account certify nodes."""
    return Call(TFGRID, "add_node_certifier", {"certifier": account})


def remove_node_certifier(account: bytes) -> Call:
    return Call(TFGRID, "remove_node_certifier", {"certifier": account})


def set_zos_version(version: str) -> Call:
    """What nodes shall run."""
    return Call(TFGRID, "set_zos_version", {"zos_version": version.encode()})


def set_storage_version(version: str) -> Call:
    """`V1Struct` and so on: how the pallet's storage is written; nothing is converted."""
    return Call(TFGRID, "set_storage_version", {"version": version})


def cancel_contract(contract: ContractId) -> Call:
    """End anybody's contract."""
    return Call(CONTRACTS, "cancel_contract_collective", {"contract_id": contract})


def approve_solution_provider(provider: int, approve: bool) -> Call:
    return Call(
        CONTRACTS, "approve_solution_provider", {"solution_provider_id": provider, "approve": approve}
    )


def change_billing_frequency(blocks: int) -> Call:
    """Blocks between two bills of a contract; only a greater number is taken."""
    return Call(CONTRACTS, "change_billing_frequency", {"frequency": blocks})


def set_lowest_tft_price(price: int) -> Call:
    """The least price in mUSD that bills use."""
    return Call(PRICE, "set_min_tft_price", {"price": price})


def set_highest_tft_price(price: int) -> Call:
    """The greatest price in mUSD that bills use."""
    return Call(PRICE, "set_max_tft_price", {"price": price})
