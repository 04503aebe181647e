"""The chain's own records, as the pallets handle them.

Attributes are named as the fields on the wire and stand in the same order.  Texts are bytes, account ids 32 bytes,
capacities bytes and virtual cores, times seconds since 1970 unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Tagged: TypeAlias = str | dict[str, Any]
"""An enum value: the case's name, or `{name: content}` (`tfchain.codec.values`)."""


@dataclass(frozen=True, slots=True)
class EntityProof:
    entity_id: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Twin:
    id: int
    account_id: bytes
    relay: bytes | None
    entities: list[EntityProof]
    pk: bytes | None


@dataclass(frozen=True, slots=True)
class Entity:
    version: int
    id: int
    name: bytes
    account_id: bytes
    country: bytes
    city: bytes


@dataclass(frozen=True, slots=True)
class PublicIP:
    ip: bytes
    gateway: bytes
    contract_id: int
    """The contract that reserves it; 0 when free."""


@dataclass(frozen=True, slots=True)
class FarmingPolicyLimit:
    farming_policy_id: int
    cu: int | None
    su: int | None
    end: int | None
    node_count: int | None
    node_certification: bool


@dataclass(frozen=True, slots=True)
class Farm:
    version: int
    id: int
    name: bytes
    twin_id: int
    pricing_policy_id: int
    certification: str
    public_ips: list[PublicIP]
    dedicated_farm: bool
    farming_policy_limits: FarmingPolicyLimit | None


@dataclass(frozen=True, slots=True)
class Resources:
    hru: int
    sru: int
    cru: int
    mru: int


@dataclass(frozen=True, slots=True)
class Location:
    city: bytes
    country: bytes
    latitude: bytes
    longitude: bytes


@dataclass(frozen=True, slots=True)
class Interface:
    name: bytes
    mac: bytes
    ips: list[bytes]


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """An address with its prefix, and the gateway; both families."""

    ip: bytes
    gw: bytes


@dataclass(frozen=True, slots=True)
class PublicConfig:
    ip4: GatewayAddress
    ip6: GatewayAddress | None
    domain: bytes | None


@dataclass(frozen=True, slots=True)
class Node:
    version: int
    id: int
    farm_id: int
    twin_id: int
    resources: Resources
    location: Location
    public_config: PublicConfig | None
    created: int
    farming_policy_id: int
    interfaces: list[Interface]
    certification: str
    secure_boot: bool
    virtualized: bool
    serial_number: bytes | None
    connection_price: int


@dataclass(frozen=True, slots=True)
class NodePower:
    state: Tagged
    """`"Up"` or `{"Down": block}`."""
    target: str

    @property
    def is_down(self) -> bool:
        """Down, or told to go there: nothing may be deployed."""
        return self.state != "Up" or self.target == "Down"


@dataclass(frozen=True, slots=True)
class TermsAndConditions:
    account_id: bytes
    timestamp: int
    document_link: bytes
    document_hash: bytes


@dataclass(frozen=True, slots=True)
class Policy:
    """A price in 10^-7 USD for each hour and unit."""

    value: int
    unit: str


@dataclass(frozen=True, slots=True)
class PricingPolicy:
    version: int
    id: int
    name: bytes
    su: Policy
    cu: Policy
    nu: Policy
    ipu: Policy
    unique_name: Policy
    domain_name: Policy
    foundation_account: bytes
    certified_sales_account: bytes
    discount_for_dedication_nodes: int


@dataclass(frozen=True, slots=True)
class FarmingPolicy:
    version: int
    id: int
    name: bytes
    cu: int
    su: int
    nu: int
    ipv4: int
    minimal_uptime: int
    policy_created: int
    policy_end: int
    immutable: bool
    default: bool
    node_certification: str
    farm_certification: str


@dataclass(frozen=True, slots=True)
class NodeContract:
    node_id: int
    deployment_hash: bytes
    deployment_data: bytes
    public_ips: int
    public_ips_list: list[PublicIP]


@dataclass(frozen=True, slots=True)
class NameContract:
    name: bytes


@dataclass(frozen=True, slots=True)
class RentContract:
    node_id: int


ContractData: TypeAlias = NodeContract | NameContract | RentContract


@dataclass(frozen=True, slots=True)
class Contract:
    version: int
    state: Tagged
    """`"Created"`, `{"Deleted": cause}` or `{"GracePeriod": block}`."""
    contract_id: int
    twin_id: int
    contract_type: ContractData
    solution_provider_id: int | None


@dataclass(frozen=True, slots=True)
class ContractResources:
    contract_id: int
    used: Resources


@dataclass(frozen=True, slots=True)
class ContractBillingInformation:
    previous_nu_reported: int
    last_updated: int
    amount_unbilled: int


@dataclass(frozen=True, slots=True)
class ContractLock:
    amount_locked: int
    extra_amount_locked: int
    lock_updated: int
    cycles: int


@dataclass(frozen=True, slots=True)
class ContractBill:
    contract_id: int
    timestamp: int
    discount_level: str
    amount_billed: int


@dataclass(frozen=True, slots=True)
class NruConsumption:
    contract_id: int
    timestamp: int
    window: int
    nru: int


@dataclass(frozen=True, slots=True)
class Provider:
    who: bytes
    take: int


@dataclass(frozen=True, slots=True)
class SolutionProvider:
    solution_provider_id: int
    providers: list[Provider]
    description: bytes
    link: bytes
    approved: bool


@dataclass(frozen=True, slots=True)
class ServiceContract:
    service_contract_id: int
    service_twin_id: int
    consumer_twin_id: int
    base_fee: int
    variable_fee: int
    metadata: bytes
    accepted_by_service: bool
    accepted_by_consumer: bool
    last_bill: int
    state: str


@dataclass(frozen=True, slots=True)
class ServiceContractBill:
    variable_amount: int
    window: int
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Burn:
    target: bytes
    """Whose units they were."""
    amount: int
    block: int
    message: bytes


@dataclass(frozen=True, slots=True)
class AccountData:
    free: int
    reserved: int
    frozen: int
    flags: int


@dataclass(frozen=True, slots=True)
class AccountInfo:
    nonce: int
    consumers: int
    providers: int
    sufficients: int
    data: AccountData


@dataclass(frozen=True, slots=True)
class BalanceLock:
    id: bytes
    amount: int
    reasons: str


@dataclass(frozen=True, slots=True)
class Votes:
    """The state of a council vote; `end` is a block."""

    index: int
    threshold: int
    ayes: list[bytes]
    nays: list[bytes]
    end: int


RECORDS: dict[str, type] = {
    "pallet_burning::types::Burn": Burn,
    "pallet_tfgrid::types::EntityProof": EntityProof,
    "pallet_tfgrid::types::Twin": Twin,
    "pallet_tfgrid::types::Entity": Entity,
    "tfchain_support::types::PublicIP": PublicIP,
    "tfchain_support::types::FarmingPolicyLimit": FarmingPolicyLimit,
    "tfchain_support::types::Farm": Farm,
    "tfchain_support::resources::Resources": Resources,
    "pallet_tfgrid::node::Location": Location,
    "pallet_tfgrid::types::LocationInput": Location,
    "tfchain_support::types::Interface": Interface,
    "tfchain_support::types::IP4": GatewayAddress,
    "tfchain_support::types::IP6": GatewayAddress,
    "tfchain_support::types::PublicConfig": PublicConfig,
    "tfchain_support::types::Node": Node,
    "tfchain_support::types::NodePower": NodePower,
    "pallet_tfgrid::terms_cond::TermsAndConditions": TermsAndConditions,
    "pallet_tfgrid::types::Policy": Policy,
    "pallet_tfgrid::types::PricingPolicy": PricingPolicy,
    "pallet_tfgrid::types::FarmingPolicy": FarmingPolicy,
    "pallet_smart_contract::types::NodeContract": NodeContract,
    "pallet_smart_contract::types::NameContract": NameContract,
    "pallet_smart_contract::types::RentContract": RentContract,
    "pallet_smart_contract::types::Contract": Contract,
    "pallet_smart_contract::types::ContractResources": ContractResources,
    "pallet_smart_contract::types::ContractBillingInformation": ContractBillingInformation,
    "pallet_smart_contract::types::ContractLock": ContractLock,
    "pallet_smart_contract::types::ContractBill": ContractBill,
    "pallet_smart_contract::types::NruConsumption": NruConsumption,
    "pallet_smart_contract::types::Provider": Provider,
    "pallet_smart_contract::types::SolutionProvider": SolutionProvider,
    "pallet_smart_contract::types::ServiceContract": ServiceContract,
    "pallet_smart_contract::types::ServiceContractBill": ServiceContractBill,
    "pallet_balances::types::AccountData": AccountData,
    "frame_system::AccountInfo": AccountInfo,
    "pallet_balances::types::BalanceLock": BalanceLock,
    "pallet_collective::Votes": Votes,
}
"""Which record the codec makes of which type."""

UNIONS = frozenset({"pallet_smart_contract::types::ContractData"})
"""Enums whose value is the record itself, because its class already says which case it is."""
