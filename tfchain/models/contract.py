"""Contracts: who pays for what on which node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self, TypeAlias

from gridtypes.ids import ContractId, NodeId, TwinId
from tfchain.models.farm import PublicIp
from tfchain.models.node import Resources
from tfchain.models.values import Struct, text, variant

HASH_SIZE = 32
"""Bytes of the hash field: room for the hexadecimal text of an MD5 challenge hash."""


class ContractState(Enum):
    CREATED = "Created"
    DELETED = "Deleted"
    """Rarely seen: a contract leaves the chain in the same block."""
    GRACE_PERIOD = "GracePeriod"
    """Its owner cannot pay; workloads pause until he can."""


@dataclass(frozen=True, slots=True)
class NodeContract:
    node_id: NodeId
    deployment_hash: str
    """Hexadecimal text of the deployment's challenge hash."""
    deployment_data: bytes
    """Opaque to the chain; clients keep a few words about the deployment here."""
    public_ips: int
    public_ips_list: tuple[PublicIp, ...]

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            node_id=NodeId(value["node_id"]),
            deployment_hash=value["deployment_hash"].rstrip(b"\0").decode("latin-1"),
            deployment_data=value["deployment_data"],
            public_ips=value["public_ips"],
            public_ips_list=tuple(map(PublicIp.from_value, value["public_ips_list"])),
        )


@dataclass(frozen=True, slots=True)
class NameContract:
    name: str


@dataclass(frozen=True, slots=True)
class RentContract:
    node_id: NodeId


ContractContent: TypeAlias = NodeContract | NameContract | RentContract


@dataclass(frozen=True, slots=True)
class Contract:
    contract_id: ContractId
    twin_id: TwinId
    """Its owner."""
    state: ContractState
    content: ContractContent
    grace_since: int | None = None
    """Block in which the grace period began; only in that state."""
    deleted_because: str | None = None
    """`CanceledByUser`, `OutOfFunds` or `CanceledByCollective`; only when deleted."""
    solution_provider_id: int | None = None

    @property
    def node_contract(self) -> NodeContract | None:
        """The content when this is a node contract."""
        return self.content if isinstance(self.content, NodeContract) else None

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        state, detail = variant(value["state"])
        kind = ContractState(state)
        return cls(
            contract_id=ContractId(value["contract_id"]),
            twin_id=TwinId(value["twin_id"]),
            state=kind,
            content=_content(*variant(value["contract_type"])),
            grace_since=detail if kind is ContractState.GRACE_PERIOD else None,
            deleted_because=variant(detail)[0] if kind is ContractState.DELETED else None,
            solution_provider_id=value["solution_provider_id"],
        )


@dataclass(frozen=True, slots=True)
class ContractResources:
    """What the workloads of a contract use, as its node reports it."""

    contract_id: ContractId
    used: Resources

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(ContractId(value["contract_id"]), Resources.from_value(value["used"]))

    def to_value(self) -> Struct:
        return {"contract_id": self.contract_id, "used": self.used.to_value()}


@dataclass(frozen=True, slots=True)
class NruConsumption:
    """What a deployment sent and received, as its node counted it."""

    contract_id: ContractId
    timestamp: int
    """Unix time in seconds of the count."""
    window: int
    """Seconds since the count before."""
    nru: int
    """Bytes in that time."""

    def to_value(self) -> Struct:
        return {
            "contract_id": self.contract_id,
            "timestamp": self.timestamp,
            "window": self.window,
            "nru": self.nru,
        }


@dataclass(frozen=True, slots=True)
class Bill:
    """What a contract was billed the last time."""

    block: int
    timestamp: int
    """Unix time, seconds."""
    amount: int
    """Units of 10^-7 TFT, after the discount."""
    discount: str
    """`None`, `Default`, `Bronze`, `Silver` or `Gold`: by how long the owner's balance lasts."""


@dataclass(frozen=True, slots=True)
class ContractLock:
    """What a contract has cost since it was last paid out; amounts in units of 10^-7 TFT."""

    amount_locked: int
    extra_amount_locked: int
    """For the farmer alone: his extra fee for a whole node."""
    lock_updated: int
    """Unix time of the last bill, in seconds."""
    cycles: int
    """Bills since then."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            value["amount_locked"], value["extra_amount_locked"], value["lock_updated"], value["cycles"]
        )


def deployment_hash_field(hash_text: str) -> bytes:
    """The 32 bytes for a hexadecimal hash text; shorter texts are filled with zeros, as the Go client does."""
    raw = hash_text.encode("ascii")
    if not raw or len(raw) > HASH_SIZE:
        raise ValueError(f"deployment hash {hash_text!r} has {len(raw)} characters, 1 to {HASH_SIZE} fit")
    return raw.ljust(HASH_SIZE, b"\0")


def _content(kind: str, value: Struct) -> ContractContent:
    match kind:
        case "NodeContract":
            return NodeContract.from_value(value)
        case "NameContract":
            return NameContract(text(value["name"]))
        case "RentContract":
            return RentContract(NodeId(value["node_id"]))
    raise ValueError(f"contract of kind {kind!r} is unknown to this version")
