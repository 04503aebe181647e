"""Gateways whose name contract has ended, or is somebody else's now, have to go (engine §5.3)."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from gridtypes.workloads import GatewayNameProxy
from tfchain import Chain
from tfchain.models import ContractState
from zosd.chainlife.orders import Orders
from zosd.clock import Clock
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Phase, WorkloadRecord

log = structlog.get_logger(__name__)


class NameWatch:
    """Looks after the names that workloads of this node use, whichever provisioner serves them."""

    def __init__(self, chain: Chain, journal: Journal, orders: Orders, clock: Clock) -> None:
        self._chain = chain
        self._journal = journal
        self._orders = orders
        self._clock = clock

    async def check(self, stamp: float, young: float) -> None:
        """Compare every name with its contract.

        `stamp` is the time of the state that is read, seconds since 1970: what was accepted later is left alone, and so
        is, for a name that the chain does not show, what was accepted in the last `young` seconds.
        Raises ChainUnavailable, ChainError.
        """
        for record, workload, name in list(self._used()):
            id = await self._chain.contract_by_name(name)
            found = (await self._chain.contracts([id])).get(id) if id is not None else None
            if found is not None and found.state is ContractState.DELETED:
                found = None
            if found is not None and found.twin_id == record.key.twin:
                continue
            is_young = self._clock.time() - record.accepted < young and found is None
            if is_young or stamp < record.accepted:
                log.info("name without contract of a young deployment, looked at again", name=name)
                continue
            why = (
                f"the name contract of '{name}' has ended"
                if found is None
                else f"the name '{name}' is reserved by twin {found.twin_id}"
            )
            await self._orders.withdraw(
                record.key, workload.name, f"workload decommissioned by system, reason: {why}"
            )

    @property
    def is_empty(self) -> bool:
        """Whether no workload uses a name."""
        return next(self._used(), None) is None

    def _used(self) -> Iterator[tuple[DeploymentRecord, WorkloadRecord, str]]:
        for record in self._journal.ledger.all():
            if record.phase is not Phase.ACTIVE:
                continue
            for workload in record.workloads:
                if workload.leaving:
                    continue
                content = workload.definition.load()
                if isinstance(content, GatewayNameProxy):
                    yield record, workload, content.name
