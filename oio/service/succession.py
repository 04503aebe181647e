"""How a peer that holds the lease becomes master: promises, the base itself where it is missing, the best log."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Final

from oio.service import quorum, replica, status, wire
from oio.service.copy import OTHER, Copy
from oio.service.mastership import MAX_BATCH, Mastership
from oio.service.replica import Entry, Facts, Promise
from oio.service.repository import Presence
from oio.service.shipping import PEER_TIMEOUT
from oio.service.status import ServiceError

GRACE: Final = 0.2
"""Seconds for which peers are waited for when a majority has answered."""
LOST: Final = Presence.LOST.value
FREE: Final = (Presence.NEVER.value, Presence.REMOVED.value)
"""What a peer answers at which the base may be founded."""


NEVER_FOUNDED: Final = {"never": True}
"""Marks the error of a base that has never been, for those who may have it founded."""


class Fenced(ServiceError):
    """A peer follows a master with a higher token, `promised`."""

    def __init__(self, peer: str, error: ServiceError) -> None:
        super().__init__(status.UNAVAILABLE, f"{peer} follows a newer master: {error.message}")
        self.promised = int(error.body.get("promised", 0)) if isinstance(error.body, dict) else 0


class NeverFounded(ServiceError):
    """A majority says that the base has never been."""

    def __init__(self) -> None:
        text = "Container not found : (2) No such file or directory"
        super().__init__(status.BASE_NOT_FOUND, text, NEVER_FOUNDED)


@dataclass(frozen=True, slots=True)
class Promises:
    """What the peers that could be reached said: where their logs stand, or why they have none."""

    given: dict[str, Promise]
    absent: dict[str, str]

    @property
    def facts(self) -> dict[str, Facts]:
        """Where the logs of those stand that have promised."""
        return {peer: promise.facts for peer, promise in self.given.items()}

    @property
    def answered(self) -> int:
        """How many peers could be reached."""
        return len(self.given) + len(self.absent)

    def deleted(self, size: int) -> bool:
        """Whether a majority of `size` peers has deleted the base, for good: a copy somewhere else is a leftover."""
        return list(self.absent.values()).count(Presence.REMOVED.value) >= quorum.majority(size)

    @property
    def unwritten(self) -> bool:
        """Whether no copy has ever taken an entry."""
        return all(there.last_seq == 0 for there in self.facts.values())


async def ask_promises(copy: Copy, peers: frozenset[str], token: int) -> Promises:
    """Have every peer promise `token`; Fenced when one has promised a higher one."""
    born = await copy.born()
    args = copy.args(token=token, caller=copy.node.name, born=born)

    async def ask(peer: str) -> dict[str, Any]:
        if peer == copy.node.name:
            return await copy.promise(token, peer, born)
        limit = copy.node.settings.number("sqliterepo.outgoing.timeout.req.getvers")
        answer: dict[str, Any] = await copy.node.call(peer, "peer_promise", args, limit)
        return answer

    tasks = {copy.node.spawn(ask(peer)): peer for peer in sorted(peers)}
    pending: set[asyncio.Task[dict[str, Any]]] = set(tasks)
    promises = Promises({}, {})
    try:
        while pending:
            # Once a majority has promised, the slow ones are waited for no longer than this.
            own = copy.node.name not in peers or copy.node.name in {**promises.given, **promises.absent}
            enough = own and len(promises.given) >= quorum.majority(len(peers))
            patience = GRACE if enough else None
            done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                _note(promises, tasks[task], task)
    finally:
        for task in pending:
            task.cancel()
    return promises


def _note(promises: Promises, peer: str, task: asyncio.Task[dict[str, Any]]) -> None:
    try:
        result = task.result()
    except ServiceError as error:
        if error.status == status.IS_MASTER:
            raise Fenced(peer, error) from error
        return
    if "facts" in result:
        promises.given[peer] = wire.unpack_promise(result)
    else:
        promises.absent[peer] = str(result.get("absent"))


async def come_by(copy: Copy, peers: frozenset[str], promises: Promises, found: bool) -> None:
    """Get the base where this peer has none: a copy of the best log, or a new one where nobody ever had it.

    ServiceError 431 when it is lost everywhere or may not be founded, 503 when too few peers could be asked.
    """
    name, needed = copy.name.name, quorum.majority(len(peers))
    mine = promises.absent.get(copy.node.name)
    if promises.facts and not promises.deleted(len(peers)):
        if len(promises.facts) < needed and not (promises.unwritten and mine in FREE):
            raise ServiceError(
                status.UNAVAILABLE, f"{name} is not here and at too few others to choose a copy"
            )
        await copy.pull(replica.best_log(promises.facts))
        return
    lost = sorted(peer for peer, why in promises.absent.items() if why == LOST)
    if lost:
        raise ServiceError(status.BASE_NOT_FOUND, f"{name} is lost at {', '.join(lost)}")
    if promises.answered < needed:
        raise ServiceError(status.UNAVAILABLE, f"No majority of {name} answers")
    if not found:
        raise NeverFounded
    await found_at(copy, peers, list(promises.absent), 1 + secrets.randbits(62), have=0)


async def found_at(copy: Copy, peers: frozenset[str], where: list[str], born: int, have: int) -> None:
    """Make the empty base at these peers, beside those that `have` it.

    ServiceError 503 when fewer than a majority of `peers` have it then.
    """
    args = copy.args(peers=sorted(peers), born=born)

    async def one(peer: str) -> None:
        if peer == copy.node.name:
            await copy.found(peers, born)
        else:
            await copy.node.call(peer, "peer_found", args, PEER_TIMEOUT)

    results = await asyncio.gather(*(one(peer) for peer in where), return_exceptions=True)
    made = sum(result is None for result in results) + have
    if made < quorum.majority(len(peers)):
        raise ServiceError(status.UNAVAILABLE, f"{copy.name.name} could not be founded on a majority")


async def take_office(copy: Copy, peers: frozenset[str], token: int, promises: Promises) -> Mastership | None:
    """A mastership whose copy has the best log of a majority; ServiceError 503 without majority.

    None when the promises must be asked for again: the founding of the base, cut short before, was completed, or the
    own copy was one of another base, or of one that is deleted.
    """
    mastership = Mastership(copy.node.name, token, peers)
    best = _count(mastership, promises)
    if best is None and promises.given:
        # A change of peers is on its way: the new ones have a say as well.
        others = quorum.everyone(mastership.configs) - peers
        best = _count(mastership, await ask_promises(copy, others, token)) if others else None
    if best is None:
        never = [peer for peer, why in promises.absent.items() if why in FREE]
        if never and promises.unwritten:
            await found_at(copy, peers, never, await copy.born(), have=len(promises.given))
            return None
        if promises.deleted(len(peers)):
            await copy.bury(await copy.born())
            return None
        if list(promises.absent.values()).count(OTHER) >= quorum.majority(len(peers)):
            # This copy is of a base that was deleted while this peer was away; its successor has its name.
            await copy.condemn()
            return None
        missing = ", ".join(sorted(quorum.everyone(mastership.configs) - mastership.promises.keys()))
        raise ServiceError(status.UNAVAILABLE, f"No majority of {copy.name.name}: no promise from {missing}")
    await _take_log(copy, best, mastership.promises[best].facts, token)
    mastership.ready = True
    return mastership


def _count(mastership: Mastership, promises: Promises) -> str | None:
    """The peer whose log must be taken, once all these promises are noted."""
    best = None
    for peer in sorted(promises.given):
        best = mastership.promised(peer, promises.given[peer])
    return best


async def _take_log(copy: Copy, best: str, there: Facts, token: int) -> None:
    """Bring the own log to where the best one stands: what is committed in portions, the rest at once."""
    if best != copy.node.name:
        own = await copy.facts()
        while own.committed < there.committed:
            last = min(there.committed, own.committed + MAX_BATCH)
            entries = await _fetch(copy, best, own.committed + 1, last)
            if not entries:
                await copy.pull(best)
            else:
                await _adopt(copy, token, entries, there.committed)
            before, own = own, await copy.facts()
            if own.committed == before.committed:
                raise ServiceError(status.UNAVAILABLE, f"entry {last} cannot be had from {best}")
        if (own.last_epoch, own.last_seq) != (there.last_epoch, there.last_seq):
            tail = await _fetch(copy, best, own.committed + 1, there.last_seq)
            await _adopt(copy, token, tail, there.committed)
    await copy.on_base(lambda base: base.commit(min(there.committed, base.facts().last_seq)))


async def _fetch(copy: Copy, peer: str, first: int, last: int) -> tuple[Entry, ...]:
    """Entries of a peer's log; none when it no longer reaches back to `first`."""
    answer = await copy.node.call(peer, "peer_entries", copy.args(first=first, last=last), PEER_TIMEOUT)
    return wire.unpack_entries(answer["entries"]) if answer["joins"] else ()


async def _adopt(copy: Copy, token: int, entries: tuple[Entry, ...], committed: int) -> None:
    try:
        await copy.on_base(lambda base: replica.adopt(base, token, entries, committed))
    except (replica.Fenced, replica.Gap) as error:
        raise ServiceError(status.UNAVAILABLE, f"no longer master: {error}") from error
