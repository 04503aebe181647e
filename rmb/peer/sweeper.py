"""Tell local clients that their time is over."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from rmb.errors import BusUnavailable
from rmb.peer.local import timed_out
from rmb.peer.store import PeerStore

log = structlog.get_logger("rmb.peer")

PERIOD: Final = 1.0
"""Seconds between two looks."""


async def sweep(store: PeerStore) -> None:
    """Answer every expired request, once; until cancelled."""
    while True:
        try:
            while uids := await store.expired():
                for uid in uids:
                    await _answer(store, uid)
        except BusUnavailable as error:
            log.warning("waiting for Redis", reason=str(error))
        await asyncio.sleep(PERIOD)


async def _answer(store: PeerStore, uid: str) -> None:
    request = await store.waiting(uid)
    if request is None:
        await store.forget(uid)
    else:
        await store.settle(uid, timed_out(request, uid))
