"""A chain in memory for what the node tells it and hears from it, and a clock that does not wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridtypes import ContractId, FarmId, NodeId, TwinId
from tests.zosd.parts import NODE, TWIN, Daemon
from tfchain.errors import ChainUnavailable, DispatchError
from tfchain.keys import Identity
from tfchain.models import (
    Contract,
    ContractResources,
    ContractState,
    Event,
    Farm,
    FinalisedBlock,
    Head,
    NameContract,
    Node,
    NodeContract,
    PublicIp,
    Twin,
)
from zosd.chainlife.cursor import JournalCursor
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.follower import Follower
from zosd.clock import SystemClock

CONTRACTS = "SmartContractModule"


class FastClock(SystemClock):
    """Sleeps a thousandth of what it is asked for and keeps a list."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(seconds / 1000)


@dataclass
class MemoryChain:
    """As much of `tfchain.Chain` as the node uses."""

    live: dict[ContractId, Contract] = field(default_factory=dict)
    blocks: asyncio.Queue[FinalisedBlock] = field(default_factory=asyncio.Queue)
    away: int = 0
    """How many calls still fail."""
    number: int = 1000
    ahead: float = 10_000.0
    """Seconds by which the chain's clock is ahead of ours; below zero its state is old."""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    refuse: set[ContractId] = field(default_factory=set)
    money: int = 0
    terms: bool = False
    farm_addresses: tuple[PublicIp, ...] = ()
    unknown_farms: set[FarmId] = field(default_factory=set)
    own_twin: TwinId | None = None
    relay: str | None = None
    made: Node | None = None
    names: dict[str, ContractId] = field(default_factory=dict)

    def _reach(self) -> None:
        if self.away:
            self.away -= 1
            raise ChainUnavailable("connection refused")

    async def head(self) -> Head:
        self._reach()
        return Head(self.number, b"")

    async def events(self, cursor: JournalCursor) -> AsyncIterator[FinalisedBlock]:
        while True:
            block = await self.blocks.get()
            yield block
            cursor.save(block.number)

    async def now(self) -> int:
        self._reach()
        return int((SystemClock().time() + self.ahead) * 1000)

    async def node_contracts(self, node: NodeId) -> list[ContractId]:
        self._reach()
        return list(self.live)

    async def contracts(self, ids: Sequence[ContractId]) -> dict[ContractId, Contract]:
        return {id: self.live[id] for id in ids if id in self.live}

    async def contract_by_name(self, name: str) -> ContractId | None:
        self._reach()
        return self.names.get(name)

    async def report_uptime(self, key: Identity, uptime: int, hint: int) -> None:
        self._reach()
        self.calls.append(("uptime", (uptime, hint)))

    async def report_contract_resources(self, key: Identity, reports: Sequence[ContractResources]) -> None:
        self._reach()
        if any(one.contract_id in self.refuse for one in reports):
            raise DispatchError(CONTRACTS, "NodeNotAuthorizedToComputeReport")
        self.calls += [("resources", one) for one in reports]

    async def balance(self, account: bytes) -> int:
        self._reach()
        return self.money

    async def ensure_account(self, key: Identity, url: str) -> None:
        self.calls.append(("activate", url))
        self.money = 10**7

    async def has_accepted_terms(self, account: bytes) -> bool:
        return self.terms

    async def accept_terms(self, key: Identity, link: str, hash: str) -> None:
        self.calls.append(("terms", link))
        self.terms = True

    async def twin_by_account(self, account: bytes) -> TwinId | None:
        return self.own_twin

    async def create_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> TwinId:
        self.calls.append(("twin", relay))
        self.own_twin = TwinId(5)
        return self.own_twin

    async def twin(self, id: TwinId) -> Twin:
        return Twin(id, b"a" * 32, self.relay, b"pk")

    async def update_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> None:
        self.calls.append(("update twin", (relay, pk)))
        self.relay = relay

    async def node_by_twin(self, twin: TwinId) -> NodeId | None:
        return self.made.id if self.made else None

    async def node(self, id: NodeId) -> Node | None:
        return self.made

    async def farm(self, id: FarmId) -> Farm | None:
        return Farm(id, "farm", TwinId(3), 1, "NotCertified", self.farm_addresses, False, None)

    async def create_node(self, key: Identity, **fields: Any) -> NodeId:
        if fields["farm"] in self.unknown_farms:
            raise DispatchError("TfgridModule", "FarmNotExists", "TfgridModule.create_node")
        self.calls.append(("create", fields))
        self.made = node_object(NODE, self.own_twin or TwinId(0), fields)
        return NODE

    async def update_node(self, key: Identity, id: NodeId, **fields: Any) -> None:
        self.calls.append(("update", fields))
        self.made = node_object(id, self.own_twin or TwinId(0), fields)

    def sign_up(self, contract: int, state: ContractState = ContractState.CREATED) -> None:
        content = NodeContract(NODE, "", b"", 0, ())
        self.live[ContractId(contract)] = Contract(ContractId(contract), TWIN, state, content)

    def reserve(self, name: str, contract: int, twin: TwinId = TWIN) -> None:
        id = ContractId(contract)
        self.names[name] = id
        self.live[id] = Contract(id, twin, ContractState.CREATED, NameContract(name))

    def release(self, name: str) -> None:
        """The name contract is cancelled."""
        id = self.names.pop(name)
        del self.live[id]
        self.number += 1
        event = Event(CONTRACTS, "NameContractCanceled", {"contract_id": id})
        self.blocks.put_nowait(FinalisedBlock(self.number, b"", (event,)))

    def happen(self, name: str, contract: int, node: int = NODE, **more: Any) -> None:
        self.number += 1
        fields = {"contract_id": contract, "node_id": node, "twin_id": TWIN, **more}
        event = Event(CONTRACTS, name, fields)
        self.blocks.put_nowait(FinalisedBlock(self.number, b"", (event,)))


NODE_FIELDS = ("farm", "resources", "location", "interfaces", "secure_boot", "virtualized", "serial_number")


def node_object(id: NodeId, twin: TwinId, fields: dict[str, Any]) -> Node:
    return Node(
        id=id,
        farm_id=fields["farm"],
        twin_id=twin,
        resources=fields["resources"],
        location=fields["location"],
        public_config=None,
        created=1,
        farming_policy_id=1,
        interfaces=fields["interfaces"],
        certification="Diy",
        secure_boot=fields["secure_boot"],
        virtualized=fields["virtualized"],
        serial_number=fields["serial_number"],
        connection_price=0,
    )


@contextlib.asynccontextmanager
async def beside(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(end, asyncio.CancelledError), end


async def _ignore(text: str) -> None:
    pass


def _ignore_addresses(addresses: Sequence[str]) -> None:
    pass


def follower(
    node: Daemon, chain: MemoryChain, addresses: Callable[[Sequence[str]], None] = _ignore_addresses
) -> Follower:
    cursor = JournalCursor(node.journal, SystemClock())
    return Follower(
        chain,  # type: ignore[arg-type]  # has what the follower asks for
        node.journal,
        node.orders,
        cursor,
        FastClock(),
        3600,
        lambda: None,
        _ignore,
        addresses,
        Farmer(node.journal),
    )
