"""What the chain keeps, as frozen typed values."""

from tfchain.models.block import Event, FinalisedBlock, Head, Receipt
from tfchain.models.contract import (
    Bill,
    Contract,
    ContractContent,
    ContractLock,
    ContractResources,
    ContractState,
    NameContract,
    NodeContract,
    RentContract,
    TrafficReport,
)
from tfchain.models.farm import Farm, FarmingPolicyLimit, PublicIp
from tfchain.models.node import (
    ConfiguredAddress,
    Interface,
    Location,
    Node,
    NodePower,
    PublicConfig,
    Resources,
)
from tfchain.models.pricing import PricingPolicy
from tfchain.models.twin import EntityProof, Twin

__all__ = [
    "Bill",
    "ConfiguredAddress",
    "Contract",
    "ContractContent",
    "ContractLock",
    "ContractResources",
    "ContractState",
    "EntityProof",
    "Event",
    "Farm",
    "FarmingPolicyLimit",
    "FinalisedBlock",
    "Head",
    "Interface",
    "Location",
    "NameContract",
    "Node",
    "NodeContract",
    "NodePower",
    "PricingPolicy",
    "PublicConfig",
    "PublicIp",
    "Receipt",
    "RentContract",
    "Resources",
    "TrafficReport",
    "Twin",
]
