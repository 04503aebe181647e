"""Who the node is on the chain, as far as it knows; survives restarts without a chain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from gridtypes import NodeId, TwinId
from provisioners.protocol import NodeFacts
from zosd.accept.refusal import Refusal
from zosd.chainlife.notes import IDS
from zosd.journal.journal import Journal

UNREGISTERED = NodeId(0)


class Registered:
    def __init__(self, journal: Journal, account: bytes, address: str) -> None:
        """`account` is the public key of the node, `address` its SS58 form."""
        self._journal = journal
        self._account = account
        self._address = address
        self.trouble = "registration is still in progress"
        """Why there are no ids yet."""
        self.told: list[Callable[[NodeFacts], None]] = []
        """Called with the facts whenever they become known."""
        self.done = asyncio.Event()
        """Set once the ids are known."""
        self._node, self._twin = UNREGISTERED, TwinId(0)
        note = journal.ledger.note(IDS)
        if note is not None:
            node, twin, known = json.loads(note)
            # A node that was given another key is another node.
            if bytes.fromhex(known) == account:
                self._node, self._twin = NodeId(node), TwinId(twin)
                self.done.set()

    @property
    def facts(self) -> NodeFacts:
        """Node and twin are 0 before the first registration."""
        return NodeFacts(self._node, self._twin, self._account, self._address)

    def node_id(self) -> NodeId:
        """Raises Refusal before the first registration."""
        if not self.done.is_set():
            raise Refusal(f"the node is not registered yet: {self.trouble}")
        return self._node

    async def set(self, node: NodeId, twin: TwinId) -> None:
        self._node, self._twin = node, twin
        await self._journal.put_note(IDS, json.dumps([node, twin, self._account.hex()]).encode())
        for tell in self.told:
            tell(self.facts)
        self.done.set()
