"""Deleting what a reference is linked to: one operation, which is either not begun or completed by whoever comes next.

1. The meta1 base notes in its log which rows go, and which bases (by the number `born`) they lead to.
2. The base itself notes in its log that it is deleted, unless it holds objects. From here on it cannot come back: a
   copy that was away has no majority, or learns it from the log.
3. Every peer deletes its file and keeps a tombstone.
4. When a majority has, the meta1 base forgets the rows and the note.

Every step can be repeated and does nothing to another base that has got the name meanwhile. The master of the meta1
base goes on with what its predecessor began, and so does every request about the same reference.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import apsw

from oio.naming import BaseName
from oio.service import status
from oio.service.master_search import MasterSearch
from oio.service.node import Node
from oio.service.replicated import OUTCOME_OPEN, ReplicatedBase
from oio.service.shipping import PEER_TIMEOUT
from oio.service.status import ServiceError
from oio.service.verbs import deletions, meta1
from oio.service.verbs.deletions import NEVER_BORN, Deletion, Pending

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that a base without a master is waited for."""
ROUNDS: Final = 3
_REFUSED: Final = (status.BASE_NOT_FOUND, status.CONTAINER_EXISTS)
"""What a base answers that is not deleted: it holds objects, or is another one by now."""


class Deletions:
    """Deletions that this meta1 service carries out."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._search = MasterSearch(node.names.address_of, node.rpc, node.settings)
        self._unfinished: set[BaseName] = set()
        self._looked: dict[BaseName, int] = {}
        self._running: set[str] = set()

    async def delete(
        self,
        base: ReplicatedBase,
        peers: Sequence[str],
        cid: str,
        service_type: str,
        force: bool,
        found: bool = False,
    ) -> None:
        """Delete a reference's bases of a type and take them off it.

        ServiceError 406, 431 when there is nothing, 409 when the newest base holds objects and not `force`; 503 without
        a majority: if the deletion was begun by then, it will be completed.
        """

        def linked(db: apsw.Connection) -> list[meta1.Service]:
            meta1.owner(db, cid)
            deletions.require_none(db, cid, service_type)
            return meta1.services(db, cid, service_type)

        for _ in range(ROUNDS):
            try:
                rows = await base.read(linked, peers, found=found)
            except Pending as pending:
                if await self.settle(base, peers, pending):
                    return
                continue
            if not rows:
                raise ServiceError(status.BASE_NOT_FOUND, "No service located")
            newest = max(row.seq for row in rows)
            known = [await self._identify(cid, row, force, row.seq == newest) for row in rows]
            wanted = sorted(known, key=lambda one: -one.seq)
            self._unfinished.add(base.name)
            if await base.write(lambda db, wanted=wanted: deletions.begin(db, wanted), peers):  # type: ignore[misc]
                await self.finish(base, peers, wanted)
                return
        raise ServiceError(status.UNAVAILABLE, "the reference changes; try again")

    async def _identify(self, cid: str, row: meta1.Service, force: bool, newest: bool) -> Deletion:
        """The deletion of a row's base. Rows that were replaced may lead to none, and nobody uses theirs."""
        deletion = Deletion(cid, row.type, row.seq, row.host, NEVER_BORN, force or not newest)
        try:
            born = await self._ask_master(deletion, "container_check_destroy", {"force": deletion.force})
        except ServiceError as error:
            if newest or error.status != status.BASE_NOT_FOUND:
                raise
            return deletion
        return replace(deletion, born=int(born))

    async def settle(self, base: ReplicatedBase, peers: Sequence[str], pending: Pending) -> bool:
        """Come to the end of what others began: whether it was deleted, or turned out not to be allowed."""
        try:
            await self.finish(base, peers, pending.deletions)
        except ServiceError as error:
            if error.status not in _REFUSED:
                raise
            return False
        return True

    async def finish(self, base: ReplicatedBase, peers: Sequence[str], begun: Iterable[Deletion]) -> None:
        """Complete deletions that were begun; ServiceError as `delete`."""
        for one in begun:
            self._unfinished.add(base.name)
            self._running.add(one.key)
            try:
                decided = one.born == NEVER_BORN or await self._bury(one)
            except ServiceError as error:
                if error.status in _REFUSED:
                    await base.write(lambda db, one=one: deletions.cancel(db, one), peers)  # type: ignore[misc]
                raise
            finally:
                self._running.discard(one.key)
            if not decided:
                text = f"{one.base.name} is deleted at too few of {one.host}; that will be completed"
                raise ServiceError(status.UNAVAILABLE, text, OUTCOME_OPEN)
            await base.write(lambda db, one=one: deletions.complete(db, one), peers)  # type: ignore[misc]

    async def _bury(self, deletion: Deletion) -> bool:
        """Decide that the base goes, unless that is decided, and delete its files; whether a majority has."""
        seen = await self._ask_each(deletion.base, deletion.peers, "peer_presence", {})
        holders = set(deletion.peers)
        if not any(answer.get("buried") == deletion.born for answer in seen.values()):
            args = {"born": deletion.born, "force": deletion.force}
            holders |= set(await self._ask_master(deletion, "container_destroy", args))
        gone = await self._ask_each(deletion.base, sorted(holders), "base_bury", {"born": deletion.born})
        return len(gone.keys() & set(deletion.peers)) >= deletion.needed

    async def _ask_each(
        self, base: BaseName, asked: Sequence[str], verb: str, args: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The answers of those that could be asked."""
        full = {"type": base.type, "name": base.name, **args}
        answers = await asyncio.gather(
            *(self._node.call(peer, verb, full, PEER_TIMEOUT) for peer in asked), return_exceptions=True
        )
        found = {}
        for peer, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ServiceError):
                log.info("%s of %s at %s: %s", verb, base.name, peer, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[peer] = answer
        return found

    async def _ask_master(self, deletion: Deletion, verb: str, args: Mapping[str, Any]) -> Any:
        """Have the base's master do something that may be repeated; waits for one for a while."""
        base = deletion.base
        try:
            return await self._search.call(base, deletion.peers, verb, args, PATIENCE, repeat=True)
        except ServiceError as error:
            if error.status not in (status.UNAVAILABLE, status.CORRUPT):
                raise
            text = f"no master of {base.name}: {error.message}"
            raise ServiceError(status.UNAVAILABLE, text, OUTCOME_OPEN) from error

    # -- what others began

    async def run(self, bases: Callable[[], Iterable[ReplicatedBase]], every: float) -> None:
        """Again and again complete what was begun in bases whose master this service is, until cancelled."""
        while True:
            await asyncio.sleep(every)
            for base in list(bases()):
                try:
                    await self._attend(base)
                except ServiceError as error:
                    log.info("deletions of %s wait: %s", base.name.name, error)

    async def _attend(self, base: ReplicatedBase) -> None:
        if not base.is_master():
            self._looked.pop(base.name, None)
            return
        if self._looked.get(base.name) == base.token and base.name not in self._unfinished:
            return
        token = base.token
        peers = sorted(await base.copy.peers())
        begun = await base.read(deletions.pending, peers)
        if not begun:
            self._unfinished.discard(base.name)
        failed: ServiceError | None = None
        for one in begun:
            if one.key in self._running:
                continue
            try:
                await self.finish(base, peers, [one])
            except ServiceError as error:
                failed = error
        self._looked[base.name] = token
        if failed is not None:
            raise failed
