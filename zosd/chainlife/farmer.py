"""Who the farmer of this node is, as the chain had it last; known after a restart without a chain, too."""

from __future__ import annotations

import structlog

from gridtypes import TwinId
from zosd.chainlife.notes import FARMER
from zosd.journal.journal import Journal

log = structlog.get_logger(__name__)


class Farmer:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        note = journal.ledger.note(FARMER)
        self.twin: TwinId | None = TwinId(int(note)) if note else None

    async def learn(self, twin: TwinId) -> None:
        """The farm's twin as the chain has it now; a former farmer has no power from then on."""
        if twin != self.twin:
            if self.twin is not None:
                log.warning("the farm has another twin", former=self.twin, now=twin)
            self.twin = twin
            await self._journal.put_note(FARMER, str(twin).encode())

    async def get(self) -> TwinId | None:
        return self.twin
