"""Everything that the node does with the chain, as one thing to start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tfchain import Chain
from tfchain.keys import Identity
from zosd.chainlife.cursor import JournalCursor
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.follower import Follower
from zosd.chainlife.look import ChainLook, ChainSight
from zosd.chainlife.orders import Orders
from zosd.chainlife.power import Power
from zosd.chainlife.registered import Registered
from zosd.chainlife.registration import Registration
from zosd.chainlife.reports import ResourceReports, Uptime
from zosd.chainlife.traffic import Counters, Traffic
from zosd.clock import Clock
from zosd.config import Config
from zosd.journal.journal import Journal
from zosd.journal.records import Key
from zosd.machine import Machine


class ChainSide:
    def __init__(
        self,
        chain: Chain,
        config: Config,
        key: Identity,
        journal: Journal,
        orders: Orders,
        machine: Machine,
        registered: Registered,
        clock: Clock,
        chain_is_back: Callable[[], None],
        set_public_config: Callable[[str], Awaitable[None]],
        set_farm_addresses: Callable[[Sequence[str]], None],
        farmer: Farmer,
        traffic: Counters,
    ) -> None:
        reports = config.reports
        self._belongs_to_a_farm = config.node.farm > 0
        if not self._belongs_to_a_farm:
            registered.trouble = "it belongs to no farm: set farm in [node]"
        self._registered = registered
        self._cursor = JournalCursor(journal, clock)
        self.chain_look = ChainLook(chain, clock)
        self._registration = Registration(
            chain,
            key,
            config.node,
            config.chain,
            machine,
            registered,
            clock,
            reports.refresh_period,
            farmer,
        )
        self._follower = Follower(
            chain,
            journal,
            orders,
            self._cursor,
            clock,
            reports.compare_period,
            chain_is_back,
            set_public_config,
            set_farm_addresses,
            farmer,
        )
        self._follower.recall()
        self._uptime = Uptime(chain, key, clock, reports.uptime_period, reports.retry)
        self._resources = ResourceReports(chain, key, journal, clock, reports.retry)
        self._traffic = Traffic(chain, key, journal, clock, traffic, reports.traffic_period, reports.retry)
        self._power = Power(chain, key, clock, config.power.off, reports.retry, self._uptime.report)
        self._follower.power_wish = self._power.look

    def changed(self, key: Key) -> None:
        """Something of a deployment changed its state."""
        self._resources.changed(key)

    async def look(self) -> ChainSight:
        """How the chain is doing now."""
        return await self.chain_look.look(self._cursor.number)

    async def run(self) -> None:
        """For ever; ends only by being cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._belongs_to_a_farm:
                    group.create_task(self._registration.run(), name="registration")
                group.create_task(self._after_registration(self._uptime.run), name="uptime")
                group.create_task(self._after_registration(self._resources.run), name="resources")
                group.create_task(self._after_registration(self._traffic.run), name="traffic")
                group.create_task(self._after_registration(self._keep_power), name="power")
                group.create_task(self._after_registration(self._follow), name="events")
                group.create_task(self._after_registration(self._compare), name="comparison")
        finally:
            await self._cursor.flush()

    async def _after_registration(self, work: Callable[[], Awaitable[None]]) -> None:
        await self._registered.done.wait()
        await work()

    async def _follow(self) -> None:
        await self._follower.follow(self._registered.node_id())

    async def _keep_power(self) -> None:
        await self._power.run(self._registered.node_id())

    async def _compare(self) -> None:
        await self._follower.compare_for_ever(self._registered.node_id())
