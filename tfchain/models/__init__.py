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
    NruConsumption,
    RentContract,
)
from tfchain.models.council import Vote
from tfchain.models.entity import Entity
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
from tfchain.models.policy import FarmingPolicy, Policy, PricingPolicy
from tfchain.models.provider import Provider, SolutionProvider
from tfchain.models.service import ServiceContract
from tfchain.models.twin import EntityProof, Twin

__all__ = [
    "Bill",
    "ConfiguredAddress",
    "Contract",
    "ContractContent",
    "ContractLock",
    "ContractResources",
    "ContractState",
    "Entity",
    "EntityProof",
    "Event",
    "Farm",
    "FarmingPolicy",
    "FarmingPolicyLimit",
    "FinalisedBlock",
    "Head",
    "Interface",
    "Location",
    "NameContract",
    "Node",
    "NodeContract",
    "NodePower",
    "NruConsumption",
    "Policy",
    "PricingPolicy",
    "Provider",
    "PublicConfig",
    "PublicIp",
    "Receipt",
    "RentContract",
    "Resources",
    "ServiceContract",
    "SolutionProvider",
    "Twin",
    "Vote",
]
