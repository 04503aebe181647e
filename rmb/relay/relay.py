"""Put one relay process together and run it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from rmb.relay.config import RelayConfig, split_listen
from rmb.relay.federation import Federation
from rmb.relay.hub import Hub
from rmb.relay.keepalive import keep_alive
from rmb.relay.limiter import Limit, Limiter
from rmb.relay.metrics import Metrics
from rmb.relay.presence import Alone, Presence, SharedPresence
from rmb.relay.ranker import Ranker
from rmb.relay.router import Router, refusal
from rmb.relay.server import RelayServer
from rmb.relay.stores.message_store import MessageStore
from rmb.relay.stores.redis_connection import addresses
from rmb.relay.stores.redis_store import RedisStore
from rmb.relay.stores.sqlite_store import SqliteStore
from rmb.relay.twins import Twins, follow
from tfchain import Chain

log = structlog.get_logger("rmb.relay")

BACKLOG = 1024
NO_LIMIT = 1 << 62


class Relay:
    """One relay process: `start`, let its `works` run, `drain`, `close`."""

    def __init__(self, config: RelayConfig, chain: Chain) -> None:
        """Raises `StoreUnavailable` when messages cannot be kept."""
        instance = secrets.token_hex(8)
        self._config = config
        self._chain = chain
        self.metrics = Metrics()
        self._store = _store(config, instance)
        self.twins = Twins(chain, self.metrics)
        self.hub = Hub(
            self._store,
            self.metrics,
            store_always=config.store.always,
            most_sessions=config.relay.sessions,
        )
        self._presence: Presence = Alone()
        if isinstance(self._store, RedisStore):
            self._presence = SharedPresence(self._store, instance, self.hub.drop, self.hub.stored_elsewhere)
        self._federation = Federation(
            self._store,
            self.twins,
            self.hub,
            self.metrics,
            Ranker(config.ranker.period),
            refusal,
            config.relay.federation_scheme,
            config.relay.others,
        )
        self._router = Router(
            self.hub,
            self.twins,
            self._federation,
            self.metrics,
            config.relay.domains,
            _limiter(config),
            self._presence.is_elsewhere,
        )
        self._server = RelayServer(
            self.hub,
            self._router,
            self.twins,
            self.metrics,
            self._presence,
            config.relay.largest,
        )
        self._runner = web.AppRunner(
            self._server.application(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        self.port = 0
        """The port that is listened on, once started."""

    async def start(self) -> None:
        """Listen.  Raises OSError when the address cannot be had."""
        listener = _listen(self._config.relay.listen)
        self.port = int(listener.getsockname()[1])
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        log.info("relay listens", address=self._config.relay.listen, port=self.port)

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the connections, each for ever."""
        works = [self._federation.run(), follow(self._chain, self.twins, self.metrics)]
        if self._config.relay.ping:
            works.append(keep_alive(self.hub, self.metrics, self._config.relay.ping))
        if isinstance(self._presence, SharedPresence):
            works += self._presence.works()
        return works

    async def drain(self) -> None:
        """Take no new connection and let the others go; what was in memory for them is kept."""
        self._server.is_draining = True
        await self.hub.drain(self._config.relay.drain)

    async def close(self) -> None:
        """End the listening, and write what is to be kept."""
        await self._router.close()
        await self._runner.cleanup()
        self.hub.drop_all()
        await self._store.close()


async def run(config: RelayConfig, stop: asyncio.Event, ready: Callable[[Relay], None] | None = None) -> None:
    """Run a relay until `stop` is set; then it drains."""
    async with Chain(config.chain.urls) as chain:
        relay = Relay(config, chain)
        await relay.start()
        if ready is not None:
            ready(relay)
        works = {asyncio.create_task(work) for work in relay.works()}
        stopping = asyncio.create_task(stop.wait())
        try:
            ended, _ = await asyncio.wait({*works, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended - {stopping}:
                task.result()  # a fault of ours: the process ends with it
        finally:
            stopping.cancel()
            await relay.drain()
            await _end(works)
            await relay.close()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel until all are done: the Redis library may swallow a cancellation under Python 3.11."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.5)


def _store(config: RelayConfig, instance: str) -> MessageStore:
    if config.store.redis:
        return RedisStore(addresses(config.store.redis), instance, cluster=config.store.cluster)
    return SqliteStore(config.store.file)


def _limiter(config: RelayConfig) -> Limiter | None:
    limit = config.limit
    if not limit.count and not limit.size:
        return None
    return Limiter(Limit(limit.count or NO_LIMIT, limit.size or NO_LIMIT), 2 * config.relay.sessions)


def _listen(text: str) -> socket.socket:
    """A socket that several processes may share: the kernel spreads connections over them."""
    host, port = split_listen(text)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
