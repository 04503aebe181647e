"""Put the peer together and run it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from gridtypes import TwinId
from rmb import queues
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.postman import Postman
from rmb.gen2.relay_link import RelayLinks
from rmb.gen2.relay_list import RelayList
from rmb.gen2.session import Session
from rmb.gen2.token import make_token
from rmb.gen2.twin_cards import TwinCards
from rmb.pause import Pause
from rmb.peer import connections
from rmb.peer.chain_directory import ChainDirectory
from rmb.peer.config import PeerConfig
from rmb.peer.directory import CachedDirectory, DirectoryUnavailable, StaticDirectory, TwinDirectory
from rmb.peer.gatekeeper import Gatekeeper
from rmb.peer.intake import Intake
from rmb.peer.listeners import Listeners
from rmb.peer.local import LocalRequests
from rmb.peer.locator import Locator
from rmb.peer.outbox import Outbox
from rmb.peer.registration import keep_registered
from rmb.peer.relay_side import RelaySide
from rmb.peer.replies import Replies
from rmb.peer.sender import Sender
from rmb.peer.server import PeerServer
from rmb.peer.store import PeerStore
from rmb.peer.sweeper import sweep
from rmb.redis_link import RedisAddress, RedisLink
from tfchain import Chain, key_file
from tfchain.keys import Identity

log = structlog.get_logger("rmb.peer")


async def run(config: PeerConfig) -> None:
    """Run until cancelled.  Whatever is not there yet (key file, chain, twin, overlay) is waited for.

    Raises `tfchain.key_file.KeyFileError` when the key file holds no key.
    """
    identity = await _identity(config)
    async with _chain(config) as chain:
        directory = _directory(config, chain)
        twin = TwinId(config.identity.twin) or await _own_twin(directory, identity)
        log.info("we are", twin=twin, address=identity.address)
        await serve(config, identity, directory, twin, chain)


async def serve(
    config: PeerConfig,
    identity: Identity,
    directory: TwinDirectory,
    twin: TwinId,
    chain: Chain | None = None,
) -> None:
    """Carry messages for `twin` until cancelled."""
    link = RedisLink(RedisAddress.parse(config.redis.url))
    store = PeerStore(link, config.limits.store(), config.services.generation2)
    locator = Locator(config.twins.addresses, directory, config.listen.port)
    namespace = config.listen.namespace or None
    async with Sender(identity, locator, namespace, config.limits.sending) as sender:
        relays = _Relays(config, identity, twin, chain, link, store) if config.relays.urls and chain else None
        side = relays.side if relays else None
        outbox = Outbox(store, sender, twin, side)
        replies = Replies(store, sender, twin, side)
        local = LocalRequests(link, store, outbox, twin)
        server = PeerServer(store, Gatekeeper(twin, directory), replies, sender, config.limits.connections)
        listeners = Listeners(
            config.listen.addresses,
            overlay=config.listen.overlay,
            namespace=namespace,
            port=config.listen.port,
        )
        runner = web.AppRunner(server.application(), access_log=None, keepalive_timeout=15)
        await runner.setup()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(listeners.run(runner))
                tasks.create_task(outbox.run())
                tasks.create_task(Intake(link, queues.LOCAL, "LEFT", local.process).run())
                tasks.create_task(Intake(link, queues.REPLY, "RIGHT", replies.process).run())
                tasks.create_task(sweep(store))
                tasks.create_task(connections.bound(runner, config.limits.connections))
                for work in relays.works(replies) if relays else ():
                    tasks.create_task(work)
        finally:
            await runner.cleanup()
            await link.close()


async def _identity(config: PeerConfig) -> Identity:
    """The key, as soon as its file exists: the daemon that owns the twin may still be about to make it."""
    pause = Pause(first=0.2, longest=5.0)
    told = False
    while True:
        try:
            return await asyncio.to_thread(Identity.load, config.identity.key_file, config.identity.key_type)
        except FileNotFoundError:
            if not told:
                log.warning("waiting for the key file", path=str(config.identity.key_file))
                told = True
            await pause.wait()


async def _own_twin(directory: TwinDirectory, identity: Identity) -> TwinId:
    """Our twin id, as soon as the directory knows it."""
    pause = Pause(first=0.5, longest=10.0)
    told = ""
    while True:
        try:
            twin = await directory.twin_of(identity.public_key)
            if twin is not None:
                return twin
            reason = f"the account {identity.address} has no twin yet"
        except DirectoryUnavailable as error:
            reason = str(error)
        if reason != told:
            log.warning("waiting for our twin id", reason=reason)
            told = reason
        await pause.wait()


@asynccontextmanager
async def _chain(config: PeerConfig) -> AsyncIterator[Chain | None]:
    if not config.chain.urls:
        yield None
        return
    async with Chain(config.chain.urls) as chain:
        yield chain


def _directory(config: PeerConfig, chain: Chain | None) -> TwinDirectory:
    """The twins of the configuration, then those of the chain, when one is named."""
    keys = config.twins.public_keys()
    return StaticDirectory(keys, CachedDirectory(ChainDirectory(chain)) if chain else None)


class _Relays:
    """The parts of generation 2."""

    def __init__(
        self,
        config: PeerConfig,
        identity: Identity,
        twin: TwinId,
        chain: Chain,
        link: RedisLink,
        store: PeerStore,
    ) -> None:
        self._config, self._identity, self._twin, self._chain = config, identity, twin, chain
        session = Session(twin)
        self._encryption = EncryptionKey.from_secret(
            key_file.read(config.identity.key_file).removeprefix(f"{identity.type}:")
        )
        postman = Postman(session, identity, TwinCards(chain), self._encryption)
        self.side = RelaySide(link, store, postman, twin)
        self._links = RelayLinks(
            config.relays.urls, lambda: make_token(session, identity, int(time.time())), self.side.received
        )

    def works(self, replies: Replies) -> list[Coroutine[Any, Any, None]]:
        works = [self.side.run(self._links, replies)]
        if self._config.relays.register_twin:
            relays = RelayList.parse(self._config.relays.urls)
            pk = self._encryption.public_key
            works.append(keep_registered(self._chain, self._identity, self._twin, relays, pk))
        return works
