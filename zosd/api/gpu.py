"""`zos.gpu.list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rmb
from gridtypes import ContractId
from gridtypes.workloads import ZMachine, ZMachineLight
from zosd.api.table import Handler
from zosd.journal.journal import Journal
from zosd.journal.ledger import Ledger
from zosd.machine import Machine


class Gpus:
    def __init__(self, journal: Journal, machine: Machine) -> None:
        self._journal = journal
        self._machine = machine

    def handlers(self) -> Mapping[str, Handler]:
        return {"gpu.list": self.list}

    async def list(self, request: rmb.Request) -> list[dict[str, Any]]:
        """An empty list where there is none: some clients read its length."""
        try:
            found = await self._machine.gpus()
        except OSError as error:
            raise rmb.HandlerError(f"failed to list available devices: {error}") from error
        taken = taken_gpus(self._journal.ledger)
        return [
            {
                "id": gpu.id,
                "vendor": gpu.vendor,
                "device": gpu.device,
                "vram": gpu.window,
                "contract": taken.get(gpu.id, 0),
            }
            for gpu in found
        ]


def taken_gpus(ledger: Ledger) -> dict[str, ContractId]:
    """Which contract has which card; a card is free again with its deployment (case B054)."""
    taken: dict[str, ContractId] = {}
    for record in ledger.all():
        if not any(True for _ in record.healthy):
            continue
        for workload in record.workloads:
            data = workload.definition.load()
            if isinstance(data, ZMachine | ZMachineLight):
                taken.update((str(gpu), record.key.contract) for gpu in data.gpu)
    return taken
