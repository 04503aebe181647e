"""How consciences learn from each other: everyone asks all others for what has changed, and tells them at once what an
operator has done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from oio.service.conscience.registry import Registry
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

log = logging.getLogger(__name__)

EVERY: Final = 0.5
"""Seconds between two rounds of questions."""
TIMEOUT: Final = 2.0
SILENT: Final = 5.0
"""Seconds for which one that did not answer is told nothing: it asks when it is back."""


class Gossip:
    """One conscience's part; `others` are the addresses of the other ones, as they are known now."""

    def __init__(self, registry: Registry, rpc: RpcClient, others: Callable[[], Sequence[str]]) -> None:
        self._registry = registry
        self._rpc = rpc
        self._others = others
        self._heard: dict[str, tuple[str, int]] = {}
        self._silent: dict[str, float] = {}

    async def ask(self) -> None:
        """Ask all others once; those that do not answer are asked again the next time."""
        await asyncio.gather(*(self._ask(address) for address in self._others()))

    async def _ask(self, address: str) -> None:
        boot, version = self._heard.get(address, ("", 0))
        answer = await self._call(address, "changes", {"boot": boot, "since": version})
        if answer is None:
            return
        try:
            self._registry.merge(answer["services"], time.monotonic())
        except ServiceError as error:
            log.warning("conscience %s: %s", address, error)
            return
        self._heard[address] = (str(answer["boot"]), int(answer["version"]))

    async def tell(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Tell all others what has changed; returns when those that answer have taken it."""
        if documents:
            args = {"services": list(documents)}
            now = time.monotonic()
            awake = [one for one in self._others() if self._silent.get(one, 0.0) < now]
            await asyncio.gather(*(self._call(address, "merge", args) for address in awake))

    async def _call(self, address: str, verb: str, args: Mapping[str, Any]) -> Any:
        try:
            answer = await self._rpc.call(address, verb, args, TIMEOUT)
        except ServiceError as error:
            if address not in self._silent:
                log.warning("conscience %s cannot be asked: %s", address, error)
            self._silent[address] = time.monotonic() + SILENT
            return None
        if self._silent.pop(address, None) is not None:
            log.info("conscience %s answers again", address)
        return answer
