"""What the chain says of our twin's relays and key for encryption, kept as it is here."""

from __future__ import annotations

from typing import Protocol

import structlog

from gridtypes import TwinId
from rmb.gen2.relay_list import RelayList
from rmb.pause import Pause
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.keys import Identity
from tfchain.models import Twin

log = structlog.get_logger("rmb.peer")


class TwinRecords(Protocol):
    """The part of `tfchain.Chain` that is needed."""

    async def twin(self, twin_id: TwinId) -> Twin | None: ...

    async def update_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> None: ...


async def keep_registered(
    chain: TwinRecords, identity: Identity, twin: TwinId, relays: RelayList, pk: bytes
) -> None:
    """Write relays and key where they differ; nothing is written when they are the same.

    Trouble is waited out: the peer serves meanwhile.
    """
    pause = Pause(first=1.0, longest=60.0)
    while True:
        try:
            found = await chain.twin(twin)
            if found is not None and relays.matches(found.relay) and found.pk == pk:
                return
            await chain.update_twin(identity, relays.twin_field, pk)
            log.info("registered on the chain", relays=relays.twin_field)
            return
        except (ChainUnavailable, ChainError) as problem:
            log.warning("our relays are not on the chain yet, tried again", reason=str(problem))
            await pause.wait()
