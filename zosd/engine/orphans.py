"""What lies on the machine and belongs to nobody: found by inventory, removed in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from gridtypes import WorkloadId, WorkloadType
from provisioners.protocol import Context, Provisioner
from zosd.clock import Clock
from zosd.engine.acts import Acts, Gone
from zosd.engine.backoff import Backoff
from zosd.engine.order import INSTALL_ORDER

log = structlog.get_logger(__name__)

INVENTORY_LIMIT = 120.0
"""Seconds for one type."""

Inventory = Mapping[WorkloadType, set[WorkloadId]]


class Orphans:
    def __init__(
        self,
        provisioners: Mapping[WorkloadType, Provisioner],
        ctx: Context,
        acts: Acts,
        clock: Clock,
        backoff: Backoff,
        gone: Callable[[WorkloadId], None],
    ) -> None:
        self._provisioners = provisioners
        self._ctx = ctx
        self._acts = acts
        self._clock = clock
        self._backoff = backoff
        self._gone = gone
        self._left: set[tuple[WorkloadType, WorkloadId]] = set()
        self._task: asyncio.Task[None] | None = None

    async def inventory(self) -> Inventory:
        """What is there, by type; a type that could not be looked at is left out."""
        found: dict[WorkloadType, set[WorkloadId]] = {}
        for type, provisioner in self._provisioners.items():
            try:
                async with asyncio.timeout(INVENTORY_LIMIT):
                    found[type] = await provisioner.inventory(self._ctx)
            except Exception:
                log.exception("inventory failed, every workload of the type is looked at", type=type.value)
        return found

    def start(self, found: Inventory, known: set[tuple[WorkloadType, WorkloadId]]) -> None:
        """Begin to remove everything of `found` that is not `known`."""
        self._left = {(type, id) for type, ids in found.items() for id in ids} - known
        if self._left:
            log.warning("things of nobody, will be removed", workloads=[str(id) for _, id in self._left])
            self._task = asyncio.create_task(self._remove_all(), name="orphans")

    def holds(self, id: WorkloadId) -> bool:
        """Whether leftovers of this id still have to be removed before something new may be made."""
        return any(id == left for _, left in self._left)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=30)

    async def _remove_all(self) -> None:
        failures = 0
        while self._left:
            before = len(self._left)
            for type, id in sorted(self._left, key=_last_first):
                if self._acts.busy(id):
                    continue
                if isinstance(await self._acts.remove(self._provisioners[type], id), Gone):
                    self._left.discard((type, id))
                    self._gone(id)
                    log.info("leftover removed", workload=str(id), type=type.value)
            if not self._left:
                return
            failures = 1 if len(self._left) < before else failures + 1
            await self._clock.sleep(self._backoff.delay(failures, self._clock.jitter()))


def _last_first(item: tuple[WorkloadType, WorkloadId]) -> tuple[int, str]:
    return -INSTALL_ORDER.index(item[0]), str(item[1])
