"""The events that somebody on the grid acts upon, typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gridtypes.ids import ContractId, FarmId, NodeId, TwinId
from tfchain.models.block import Event
from tfchain.models.contract import Contract
from tfchain.models.farm import Farm
from tfchain.models.node import Node, PublicConfig
from tfchain.models.twin import Twin
from tfchain.models.values import variant


@dataclass(frozen=True, slots=True)
class TwinStored:
    """A twin was made or changed: whoever keeps twins must take this one."""

    twin: Twin


@dataclass(frozen=True, slots=True)
class FarmStored:
    """A farm was made or changed, its addresses included."""

    farm: Farm


@dataclass(frozen=True, slots=True)
class NodeStored:
    node: Node


@dataclass(frozen=True, slots=True)
class NodeDeleted:
    node_id: NodeId


@dataclass(frozen=True, slots=True)
class NodePublicConfigStored:
    node_id: NodeId
    config: PublicConfig | None
    """None when it was taken away."""


@dataclass(frozen=True, slots=True)
class PowerTargetChanged:
    farm_id: FarmId
    node_id: NodeId
    wanted_up: bool


@dataclass(frozen=True, slots=True)
class ContractStored:
    """A contract was made or changed."""

    contract: Contract
    is_new: bool


@dataclass(frozen=True, slots=True)
class NodeContractCanceled:
    contract_id: ContractId
    node_id: NodeId
    twin_id: TwinId


@dataclass(frozen=True, slots=True)
class NameContractCanceled:
    contract_id: ContractId


@dataclass(frozen=True, slots=True)
class RentContractCanceled:
    contract_id: ContractId


@dataclass(frozen=True, slots=True)
class ContractGracePeriodStarted:
    contract_id: ContractId
    node_id: NodeId
    """0 for a name contract."""
    twin_id: TwinId
    block_number: int


@dataclass(frozen=True, slots=True)
class ContractGracePeriodEnded:
    contract_id: ContractId
    node_id: NodeId
    """0 for a name contract."""
    twin_id: TwinId


GridEvent: TypeAlias = (
    TwinStored
    | FarmStored
    | NodeStored
    | NodeDeleted
    | NodePublicConfigStored
    | PowerTargetChanged
    | ContractStored
    | NodeContractCanceled
    | NameContractCanceled
    | RentContractCanceled
    | ContractGracePeriodStarted
    | ContractGracePeriodEnded
)


def read(event: Event) -> GridEvent | None:
    """The typed form of an event; None for one that is not among `GridEvent`."""
    reader = _READERS.get((event.pallet, event.name))
    return None if reader is None else reader(event.attributes)


def _public_config(fields: Mapping[str, Any]) -> NodePublicConfigStored:
    config = fields["1"]
    return NodePublicConfigStored(
        NodeId(fields["0"]), None if config is None else PublicConfig.from_value(config)
    )


def _power_target(fields: Mapping[str, Any]) -> PowerTargetChanged:
    target, _ = variant(fields["power_target"])
    return PowerTargetChanged(FarmId(fields["farm_id"]), NodeId(fields["node_id"]), target == "Up")


def _grace_ended(fields: Mapping[str, Any]) -> ContractGracePeriodEnded:
    return ContractGracePeriodEnded(
        ContractId(fields["contract_id"]), NodeId(fields["node_id"]), TwinId(fields["twin_id"])
    )


def _grace_started(fields: Mapping[str, Any]) -> ContractGracePeriodStarted:
    return ContractGracePeriodStarted(
        ContractId(fields["contract_id"]),
        NodeId(fields["node_id"]),
        TwinId(fields["twin_id"]),
        fields["block_number"],
    )


def _node_contract_canceled(fields: Mapping[str, Any]) -> NodeContractCanceled:
    return NodeContractCanceled(
        ContractId(fields["contract_id"]), NodeId(fields["node_id"]), TwinId(fields["twin_id"])
    )


_TFGRID = "TfgridModule"
_CONTRACTS = "SmartContractModule"
_READERS: Final[dict[tuple[str, str], Callable[[Mapping[str, Any]], GridEvent]]] = {
    (_TFGRID, "TwinStored"): lambda fields: TwinStored(Twin.from_value(fields["0"])),
    (_TFGRID, "TwinUpdated"): lambda fields: TwinStored(Twin.from_value(fields["0"])),
    (_TFGRID, "FarmStored"): lambda fields: FarmStored(Farm.from_value(fields["0"])),
    (_TFGRID, "FarmUpdated"): lambda fields: FarmStored(Farm.from_value(fields["0"])),
    (_TFGRID, "NodeStored"): lambda fields: NodeStored(Node.from_value(fields["0"])),
    (_TFGRID, "NodeUpdated"): lambda fields: NodeStored(Node.from_value(fields["0"])),
    (_TFGRID, "NodeDeleted"): lambda fields: NodeDeleted(NodeId(fields["0"])),
    (_TFGRID, "NodePublicConfigStored"): _public_config,
    (_TFGRID, "PowerTargetChanged"): _power_target,
    (_CONTRACTS, "ContractCreated"): lambda fields: ContractStored(Contract.from_value(fields["0"]), True),
    (_CONTRACTS, "ContractUpdated"): lambda fields: ContractStored(Contract.from_value(fields["0"]), False),
    (_CONTRACTS, "NodeContractCanceled"): _node_contract_canceled,
    (_CONTRACTS, "NameContractCanceled"): lambda f: NameContractCanceled(ContractId(f["contract_id"])),
    (_CONTRACTS, "RentContractCanceled"): lambda f: RentContractCanceled(ContractId(f["contract_id"])),
    (_CONTRACTS, "ContractGracePeriodStarted"): _grace_started,
    (_CONTRACTS, "ContractGracePeriodEnded"): _grace_ended,
}
