"""Copies that nobody needs any more: this peer was away when its base was deleted, or given to other peers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from oio.naming import BaseName
from oio.service import quorum, status
from oio.service.election import State
from oio.service.node import Node
from oio.service.replicated import ReplicatedBase
from oio.service.repository import Presence
from oio.service.shipping import PEER_TIMEOUT
from oio.service.status import ServiceError
from oio.service.verbs.properties import DELETED

log = logging.getLogger(__name__)

EVERY: Final = 300.0
"""Seconds between two looks at all copies; the first one follows the start."""
PAUSE: Final = 0.01
"""Seconds between two copies, so that a look is no burden."""
REMEMBERED: Final = 30 * 86400.0
"""Seconds for which it is remembered that a base was removed here."""


class Sweep:
    """Looks after all copies of one service."""

    def __init__(self, node: Node, base: Callable[[BaseName], ReplicatedBase]) -> None:
        self._node = node
        self._base = base

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY)

    async def once(self) -> int:
        """Delete what nobody needs; how many copies that were."""
        deleted = 0
        repository = self._node.repository
        for name in await asyncio.to_thread(repository.names):
            try:
                deleted += await self._look(self._base(name))
            except ServiceError as error:
                log.warning("%s cannot be looked after: %s", name.name, error)
            await asyncio.sleep(PAUSE)
        await asyncio.to_thread(repository.forget_removals, REMEMBERED)
        return deleted

    async def _look(self, base: ReplicatedBase) -> bool:
        if await base.copy.on_base(lambda opened: DELETED in opened.admin()):
            # Decided by a majority: no copy is needed any more, and none can come back.
            log.info("%s is deleted here: its deletion was decided", base.name.name)
            return await base.bury(await base.copy.born())
        before, peers = await base.copy.facts(), await base.copy.peers()
        others = sorted(peers - {self._node.name})
        answers = await asyncio.gather(*(self._ask(base, peer) for peer in others))
        deleted = sum(answer.get("presence") == Presence.REMOVED.value for answer in answers)
        against, needed = sum(map(self._is_against, answers)), min(len(others), quorum.majority(len(peers)))
        if not others or against < needed:
            if base.election.state is State.NONE:
                await base.take_part()
            return False
        if not await base.copy.remove_unless_changed(before, deleted >= needed):
            return False
        log.info("%s is deleted here: its peers have deleted it, or given it to others", base.name.name)
        return True

    async def _ask(self, base: ReplicatedBase, peer: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = await self._node.call(
                peer, "peer_presence", base.copy.args(), PEER_TIMEOUT
            )
        except ServiceError as error:
            if error.status not in status.NETWORK_STATUSES:
                raise
            return {}
        return found

    def _is_against(self, answer: dict[str, Any]) -> bool:
        if answer.get("presence") == Presence.REMOVED.value:
            return True
        return answer.get("presence") == Presence.HERE.value and self._node.name not in answer["peers"]
