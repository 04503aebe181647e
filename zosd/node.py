"""The daemon as a whole: its parts put together and started in order.

paths → journal → machine (network, pools, accelerator) → adoption → bus.  What the chain has to say or to hear runs
beside that; nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from wsgiref.simple_server import WSGIServer

import structlog

import rmb
from gridtypes import TwinId
from tfchain.keys import Identity
from zosd import metrics, settings_of
from zosd.accept.acceptor import Acceptor
from zosd.accept.facts import Keys
from zosd.accept.refusal import Refusal
from zosd.accept.waiting import Waiting
from zosd.api import served, table
from zosd.books import Books
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.link import ChainLink, open_link
from zosd.chainlife.orders import Orders
from zosd.chainlife.registered import Registered
from zosd.chainlife.side import ChainSide
from zosd.clock import SystemClock
from zosd.config import Config
from zosd.context import NodeContext
from zosd.doctor.bus import bus_problem
from zosd.doctor.doctor import Doctor
from zosd.engine.engine import Engine
from zosd.journal.journal import Journal
from zosd.journal.records import Key
from zosd.journal.schema import JournalError
from zosd.measures import Measures
from zosd.metrics import NodeCollector
from zosd.node_now import ThisNode
from zosd.parts import Parts, null_parts
from zosd.points import observed
from zosd.watchdog import Watchdog

T = TypeVar("T")

log = structlog.get_logger(__name__)

ADDRESSES_EVERY = 300.0
"""Seconds between two looks at the node's own addresses."""


class Node:
    """Everything that makes up the daemon, between `open` and the end of `run`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._paths = settings_of.paths(config)
        self._key_file = config.node.key or self._paths.state / "key"
        self._key = Identity.load_or_generate(self._key_file)
        hook = settings_of.hook(config)
        self._measures = Measures()
        self._journal = Journal(self._paths.state / "journal.db", hook, self._measures)
        self._hook = hook

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; what runs on the machine is left running.

        Raises JournalError and whatever preparing the machine raises.
        """
        async with AsyncExitStack() as stack:
            await self._journal.open()
            stack.push_async_callback(self._journal.close)
            link = await open_link(self._config.chain, stack)
            await self._run(link, stop)
        log.info("stopped")

    async def _run(self, link: ChainLink, stop: asyncio.Event) -> None:
        config, clock, journal = self._config, self._clock, self._journal
        books = Books(journal.ledger)
        registered = Registered(journal, self._key.public_key, self._key.address)
        parts = await _unless(stop, self._parts(books))
        if parts is None:
            return
        provisioners = {type: observed(one, self._hook) for type, one in parts.provisioners.items()}
        ctx = NodeContext(
            self._paths, registered.facts, provisioners, parts.roots, parts.images, link.reserved, journal
        )
        registered.told.append(ctx.set_node)
        await parts.begin(ctx)
        this = ThisNode(parts.machine, provisioners, registered)
        await this.refresh()

        changed = _Changed()
        measures = self._measures
        engine = Engine(journal, provisioners, ctx, clock, settings_of.engine(config), changed, measures)
        orders = Orders(journal, clock, engine.wake)
        waiting = Waiting(
            journal, books, link.facts, this.node_id, this.machine, this.updatable, clock, engine.wake
        )
        accepted = _Accepted(engine, waiting, orders)
        acceptor = Acceptor(
            journal,
            books,
            link.facts,
            Keys(link.facts, journal.ledger),
            settings_of.kyc(config),
            this,
            clock,
            accepted,
            config.reports.look_again,
        )
        watchdog = Watchdog(
            journal, engine, clock, config.engine.watchdog_period, config.engine.job_age_limit
        )
        services: list[Callable[[], Awaitable[None]]] = [
            waiting.run,
            watchdog.run,
            accepted.run,
            lambda: parts.watch(engine.reported),
            lambda: self._look_at_addresses(this),
        ]
        farmer = Farmer(journal)
        side: ChainSide | None = None
        if link.chain is not None:
            side = ChainSide(
                link.chain,
                config,
                self._key,
                journal,
                orders,
                parts.machine,
                registered,
                clock,
                waiting.look,
                lambda text: parts.set_public_config(text, engine.look_again),
                parts.set_farm_addresses,
                farmer,
                lambda: parts.traffic(ctx),
            )
            changed.tell = side.changed
            services.append(side.run)
        router = rmb.Router(
            config.bus.redis, not_found=table.NOT_FOUND, designed_errors=(Refusal, JournalError)
        )
        doctor = Doctor(
            config,
            parts.machine,
            watchdog,
            clock,
            self._paths.run,
            lambda: (registered.facts.node, registered.trouble),
            side.look if side else None,
            lambda: bus_problem(config.bus.redis),
        )
        services.append(doctor.run)
        server = self._serve_metrics(
            NodeCollector(
                journal,
                watchdog,
                engine,
                lambda: side.chain_look.last if side else None,
                lambda: doctor.bus_seconds,
            )
        )
        table.register(
            router,
            served.handlers(
                config,
                clock,
                journal,
                books,
                parts.machine,
                provisioners,
                ctx,
                acceptor,
                engine,
                registered,
                doctor,
                measures,
            ),
            table.Callers(farmer.get, frozenset(map(TwinId, config.node.admins))),
            light=config.node.light,
            answered=measures.answered,
        )
        await engine.start()
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(_forever(service)) for service in services]
                running.append(group.create_task(_forever(lambda: self._serve(engine, router))))
                await stop.wait()
                log.info("stopping")
                for task in running:
                    task.cancel()
        finally:
            await engine.stop()
            await parts.close()
            if server is not None:
                server.shutdown()
                server.server_close()

    def _serve_metrics(self, collector: NodeCollector) -> WSGIServer | None:
        listen = self._config.metrics.listen
        return metrics.serve(listen, self._measures, collector) if listen else None

    async def _parts(self, books: Books) -> Parts:
        if self._config.node.null:
            return null_parts(self._config, books)
        # Drivers, and what they need of libraries, are for those who have a machine to drive.
        from zosd.real_parts import real_parts

        return await real_parts(self._config, self._paths, self._key_file)

    async def _serve(self, engine: Engine, router: rmb.Router) -> None:
        try:
            async with asyncio.timeout(self._config.engine.adopt_timeout):
                await engine.adopted.wait()
        except TimeoutError:
            log.warning("adoption takes long, the bus is served meanwhile")
        log.info("serving", bus=self._config.bus.redis)
        await router.serve()

    async def _look_at_addresses(self, this: ThisNode) -> None:
        while True:
            await self._clock.sleep(ADDRESSES_EVERY)
            try:
                await this.refresh()
            except OSError as error:
                log.warning("own addresses cannot be read", why=str(error))


class _Changed:
    """Passes on which deployments changed, once there is somebody who wants to know."""

    def __init__(self) -> None:
        self.tell: Callable[[Key], None] = lambda key: None

    def __call__(self, key: Key) -> None:
        self.tell(key)


class _Accepted:
    """What follows an accepted call: work begins, and what the chain said meanwhile is not forgotten."""

    def __init__(self, engine: Engine, waiting: Waiting, orders: Orders) -> None:
        self._engine = engine
        self._waiting = waiting
        self._orders = orders
        self._keys: asyncio.Queue[Key] = asyncio.Queue()

    def __call__(self, key: Key) -> None:
        self._engine.wake(key)
        self._waiting.look()
        self._keys.put_nowait(key)

    async def run(self) -> None:
        while True:
            await self._orders.catch_up(await self._keys.get())


async def _forever(service: Callable[[], Awaitable[None]]) -> None:
    """A service that ends by our own fault is logged and begins anew; it never takes the others with it."""
    pause = 1.0
    while True:
        try:
            await service()
            return
        except Exception:
            log.exception("service failed, begins anew", after=pause)
            await asyncio.sleep(pause)
            pause = min(60.0, pause * 2)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None when `stop` was set first."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
