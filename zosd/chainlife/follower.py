"""What happens on the chain and concerns this node: finalised events, and a full comparison now and then.

Events are dealt with at least once; everything that follows from one is safe to repeat.  The comparison catches
whatever the stream missed (architecture §3.6).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import structlog

from gridtypes import ContractId, FarmId, NodeId
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.grid_events import (
    ContractGracePeriodEnded,
    ContractGracePeriodStarted,
    FarmStored,
    NameContractCanceled,
    NodeContractCanceled,
    NodePublicConfigStored,
    PowerTargetChanged,
    read,
)
from tfchain.models import Contract, ContractState, Event, Farm, FinalisedBlock, PublicConfig
from zosd.chainlife.cursor import JournalCursor
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.names import NameWatch
from zosd.chainlife.notes import FARM_ADDRESSES, PUBLIC_CONFIG
from zosd.chainlife.orders import Orders
from zosd.clock import Clock
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Key, Phase

log = structlog.get_logger(__name__)

CANCELLED = "contract canceled event received"
NOT_ACTIVE = "contract not active on chain"
YOUNG = 600.0
"""Seconds for which a deployment that the chain does not show may be newer than what the endpoint knows.

So may one that was accepted after the time of the state that the endpoint shows."""
RETRY = 30.0
"""Seconds after which a failed comparison is tried again."""


class Follower:
    def __init__(
        self,
        chain: Chain,
        journal: Journal,
        orders: Orders,
        cursor: JournalCursor,
        clock: Clock,
        compare_period: float,
        chain_is_back: Callable[[], None],
        set_public_config: Callable[[str], Awaitable[None]],
        set_farm_addresses: Callable[[Sequence[str]], None],
        farmer: Farmer,
    ) -> None:
        """`chain_is_back` is called when the chain was reached, for everything that waits for it."""
        self._farmer = farmer
        self.power_wish: Callable[[], None] = lambda: None
        """Called when the farmer's wish about the node's power has changed."""
        self._farm: FarmId | None = None
        self._set_farm_addresses = set_farm_addresses
        self._set_public_config = set_public_config
        self._chain = chain
        self._journal = journal
        self._orders = orders
        self._names = NameWatch(chain, journal, orders, clock)
        self._cursor = cursor
        self._clock = clock
        self._compare_period = compare_period
        self._chain_is_back = chain_is_back
        self._compare_now = asyncio.Event()

    async def follow(self, node: NodeId) -> None:
        """Deal with events for ever."""
        while True:
            try:
                async for block in self._chain.events(self._cursor):
                    await self._block(node, block)
            except (ChainUnavailable, ChainError) as error:
                log.warning("event stream broke, begins anew", why=str(error))
            except Exception:
                log.exception("an event could not be dealt with, its block is read again")
            await self._clock.sleep(RETRY)

    async def compare_for_ever(self, node: NodeId) -> None:
        while True:
            pause = self._compare_period
            try:
                await self.compare(node)
                self._chain_is_back()
            except (ChainUnavailable, ChainError) as error:
                log.warning("comparison with the chain failed, tried again", why=str(error), after=RETRY)
                pause = RETRY
            except Exception:
                log.exception("comparison with the chain failed by our own fault")
                pause = RETRY
            try:
                async with asyncio.timeout(pause):
                    await self._compare_now.wait()
            except TimeoutError:
                continue
            self._compare_now.clear()

    async def compare(self, node: NodeId) -> None:
        """Bring every deployment to what its contract says.  Raises ChainUnavailable, ChainError."""
        head = await self._chain.head()
        if self._cursor.number is not None and head.number < self._cursor.number:
            log.warning("the endpoint is behind what was seen already, no comparison", head=head.number)
            return
        # The clock of the state that is read: an endpoint may know the newest block and answer with an older state.
        stamp = await self._chain.now() / 1000
        stored = self._journal.ledger.all()
        active = set(await self._chain.node_contracts(node))
        contracts = await self._chain.contracts([record.key.contract for record in stored])
        for record in stored:
            await self._compare_one(record, contracts.get(record.key.contract), active, stamp)
        await self._names.check(stamp, YOUNG)
        found = await self._chain.node(node)
        if found is not None:
            await self._put_public_config(found.public_config)
            farm = await self._chain.farm(found.farm_id)
            if farm is not None:
                self._farm = farm.id
                await self._put_farm(farm)

    async def _compare_one(
        self, record: DeploymentRecord, contract: Contract | None, active: set[ContractId], stamp: float
    ) -> None:
        if record.phase in (Phase.LEAVING, Phase.WAITING):
            return
        if contract is None or contract.state is ContractState.DELETED:
            is_young = self._clock.time() - record.accepted < YOUNG or stamp < record.accepted
            if is_young and contract is None:
                log.info("young deployment without contract, looked at again", deployment=str(record.key))
                return
            await self._orders.leave(record.key, NOT_ACTIVE)
        elif record.key.contract in active:
            await self._orders.pause(record.key, contract.state is ContractState.GRACE_PERIOD)

    async def _block(self, node: NodeId, block: FinalisedBlock) -> None:
        if not block.is_complete:
            log.warning("events of a block are lost, everything is compared", block=block.number)
            self._compare_now.set()
        for event in block.events:
            await self._event(node, event)

    async def _event(self, node: NodeId, event: Event) -> None:
        match read(event):
            case NodeContractCanceled(contract_id, node_id, twin_id) if node_id == node:
                await self._orders.leave(Key(twin_id, contract_id), CANCELLED)
            case NameContractCanceled() if not self._names.is_empty:
                # The event tells no name; the state that is read is not older than the event.
                await self._names.check(await self._chain.now() / 1000, 0.0)
            case ContractGracePeriodStarted(contract_id, node_id, twin_id, _) if node_id == node:
                await self._orders.pause(Key(twin_id, contract_id), True)
            case ContractGracePeriodEnded(contract_id, node_id, twin_id) if node_id == node:
                await self._orders.pause(Key(twin_id, contract_id), False)
            case NodePublicConfigStored(node_id, config) if node_id == node:
                await self._put_public_config(config)
            case PowerTargetChanged(_, node_id, _) if node_id == node:
                self.power_wish()
            case FarmStored(farm) if farm.id == self._farm:
                await self._put_farm(farm)
            case _:
                pass

    def recall(self) -> None:
        """Bring back what the chain last said, for the time until it answers."""
        note = self._journal.ledger.note(FARM_ADDRESSES)
        if note:
            self._set_farm_addresses(json.loads(note))

    async def _put_farm(self, farm: Farm) -> None:
        await self._farmer.learn(farm.twin_id)
        await self._put_farm_addresses([address.ip for address in farm.public_ips])

    async def _put_farm_addresses(self, addresses: Sequence[str]) -> None:
        await self._journal.put_note(FARM_ADDRESSES, json.dumps(addresses).encode())
        self._set_farm_addresses(addresses)

    async def _put_public_config(self, config: PublicConfig | None) -> None:
        shown = None
        if config is not None:
            shown = {
                "type": "",
                "ipv4": config.ip4.ip,
                "ipv6": config.ip6.ip if config.ip6 else "",
                "gw4": config.ip4.gw,
                "gw6": config.ip6.gw if config.ip6 else "",
                "domain": config.domain or "",
            }
        text = json.dumps(shown)
        await self._journal.put_note(PUBLIC_CONFIG, text.encode())
        await self._set_public_config(text)
