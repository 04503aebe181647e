"""Agreements between a service and its consumer, beside what nodes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gridtypes.ids import TwinId
from tfchain.models.values import Struct, variant


@dataclass(frozen=True, slots=True)
class ServiceContract:
    id: int
    service: TwinId
    consumer: TwinId
    base_fee: int
    """In mUSD an hour."""
    variable_fee: int
    """In mUSD an hour: the most that a bill may add."""
    metadata: bytes
    accepted_by_service: bool
    accepted_by_consumer: bool
    last_bill: int
    """Unix time in seconds."""
    state: str
    """`Created`, `AgreementReady` or `ApprovedByBoth`."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            id=value["service_contract_id"],
            service=TwinId(value["service_twin_id"]),
            consumer=TwinId(value["consumer_twin_id"]),
            base_fee=value["base_fee"],
            variable_fee=value["variable_fee"],
            metadata=value["metadata"],
            accepted_by_service=value["accepted_by_service"],
            accepted_by_consumer=value["accepted_by_consumer"],
            last_bill=value["last_bill"],
            state=variant(value["state"])[0],
        )
