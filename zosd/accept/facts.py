"""Facts that the accept path needs from the chain, with what is known of them without it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol

from gridtypes import ContractId, Deployment, NodeId, TwinId
from provisioners.protocol import ReservedIp
from tfchain import ChainUnavailable
from zosd.accept.contract import ContractView
from zosd.journal.changes import Change, PutNote
from zosd.journal.ledger import Ledger

MOST_KEYS = 16384
"""Public keys of twins kept in memory."""
NOTE = "twin-key:"


class ChainFacts(Protocol):
    """What the accept path asks of the chain.  Every call ends within a time limit and may raise ChainUnavailable."""

    async def twin_key(self, twin: TwinId) -> bytes | None:
        """The 32 bytes of the twin's account; None when there is no such twin."""
        ...

    async def contract(self, id: ContractId) -> ContractView | None:
        """None when the endpoint in use does not show it."""
        ...

    async def find(self, id: ContractId, patience: float) -> ContractView | None:
        """Like `contract`, looking at every endpoint again and again for `patience` seconds (0: once)."""
        ...

    async def height(self) -> int:
        """Number of the newest block."""
        ...

    async def renter(self, node: NodeId) -> TwinId | None:
        """The twin that has rented the whole node; None when nobody has."""
        ...

    async def name_owner(self, name: str, patience: float) -> TwinId | None:
        """The twin that has reserved the name; it is looked for again for `patience` seconds.  None: nobody has."""
        ...


class NoChain:
    """A node without a chain: every deployment waits."""

    async def twin_key(self, twin: TwinId) -> bytes | None:
        raise _no_chain()

    async def contract(self, id: ContractId) -> ContractView | None:
        raise _no_chain()

    async def find(self, id: ContractId, patience: float) -> ContractView | None:
        raise _no_chain()

    async def height(self) -> int:
        raise _no_chain()

    async def renter(self, node: NodeId) -> TwinId | None:
        raise _no_chain()

    async def name_owner(self, name: str, patience: float) -> TwinId | None:
        raise _no_chain()

    async def reserved(self, contract: ContractId) -> Sequence[ReservedIp] | None:
        raise _no_chain()


def _no_chain() -> ChainUnavailable:
    return ChainUnavailable("no chain is configured: set urls in [chain]")


class KeyMissing(Exception):
    """The key of a twin is not known; `str(e)` says why."""


class Keys:
    """Account keys of twins.  They never change, so what was learnt once is good for ever.

    Keys of twins with a deployment here are durable: they let a known twin deploy while the chain is away.
    """

    def __init__(self, chain: ChainFacts, ledger: Ledger) -> None:
        self._chain = chain
        self._ledger = ledger
        self._known: OrderedDict[TwinId, bytes] = OrderedDict()

    async def of(self, deployment: Deployment) -> dict[TwinId, bytes | KeyMissing]:
        """The keys of every twin in the signature requests, fetched where they are not known."""
        twins = dict.fromkeys(request.twin_id for request in deployment.signature_requirement.requests)
        return {TwinId(twin): await self._key(TwinId(twin)) for twin in twins}

    def notes(self, keys: Iterable[TwinId]) -> list[Change]:
        """Changes that make these keys durable."""
        return [
            PutNote(f"{NOTE}{twin}", key)
            for twin in keys
            if (key := self._known.get(twin)) is not None and self._ledger.note(f"{NOTE}{twin}") is None
        ]

    async def _key(self, twin: TwinId) -> bytes | KeyMissing:
        known = self._known.get(twin) or self._ledger.note(f"{NOTE}{twin}")
        if known is None:
            try:
                known = await self._chain.twin_key(twin)
            except ChainUnavailable as error:
                return KeyMissing(f"the chain cannot be reached, try again later: {error}")
            if known is None:
                return KeyMissing("twin not found")
        self._known[twin] = known
        self._known.move_to_end(twin)
        if len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
        return known
