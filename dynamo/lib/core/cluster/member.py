"""One server of a fleet: follows the log of changes, and adds to it while it has the right to write."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from dynamo.core.borrowed import LEVEL_S, StoreAhead, check_level
from dynamo.core.borrowed import LOOK_S as LEVEL_LOOK_S
from dynamo.core.cluster.news import News
from dynamo.core.cluster.rights import Rights
from dynamo.core.cluster.roster import Roster
from dynamo.core.cluster.sources import Sources, advertised
from dynamo.core.cluster.updates_log import note_updates
from dynamo.core.components.impl.database import Database
from dynamo.core.dynamoinventory import BatchRefused, DynamoInventory
from dynamo.core.master.changelog import Batch, ChangeLog, Commands
from dynamo.core.master.database import transaction
from dynamo.core.master.lease import Held, Leases
from dynamo.core.master.servers import Servers, ServerStatus
from dynamo.core.serverconfig import Component
from dynamo.dataformat import DynamoError, OperationalError

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")

FOLLOW_S = 0.2
"""How often the log is looked at where there is no board, in seconds."""
BOARD_S = 0.05
"""How often the own board is looked at, in seconds."""
LOG_S = 1.0
"""How often the log is looked at all the same, in seconds."""
RETRY_S = 1.0
"""How long to wait after something that did not work, in seconds."""
COLLECT_S = 10.0
"""How often garbage is collected, in seconds: the collector is off, and the frozen image costs it nothing."""
BEAT_S = 2.0
"""How often a server says that it lives, and renews its rights, in seconds."""


class OutOfSync(DynamoError):
    """The image is not what the log was written for, or cannot be used."""


class StartTimeout(OperationalError):
    """What a server waits for did not come."""


class Member:
    """A server with its inventory.  Whatever forks or changes the image holds `image`."""

    def __init__(
        self,
        name: str,
        inventory: DynamoInventory,
        database: Database,
        ttl: int,
        store: Component | None,
        credentials: Mapping[str, str],
        news: News | None = None,
    ) -> None:
        """`ttl` of rights in seconds; `store` is the configuration of the server's own store.

        `credentials` are user and passwd of this server at stores of others.  `news` of changes come from there as
        well as from the log, and go there.
        """
        self.name = name
        self.inventory = inventory
        self.image = asyncio.Lock()
        self.is_draining = False
        """Does it finish what it has begun, and take nothing new?"""
        self._database = database
        leases = Leases(database, name, ttl)
        self._rights = Rights(leases)
        self._log = ChangeLog(database, leases)
        self._servers = Servers(database)
        self._roster = Roster(self._servers, self._log, database)
        self._store = store
        self._sources = Sources(name, self._servers, credentials)
        self._news = news
        self._lender = ""
        self._status = ServerStatus.INITIAL
        self._applied = 0
        self._told = 0

    @property
    def applied(self) -> int:
        """Number of the last batch that the image has."""
        return self._applied

    @property
    def is_primary(self) -> bool:
        """Does this server look after what a fleet does only once?"""
        return self._rights.is_primary

    @property
    def is_online(self) -> bool:
        """Is the image current, and may be used?"""
        return self._status.is_current

    async def start(self, patience: float) -> None:
        """Load the image, and catch up with the log.

        It comes from the own store, after cloning another server's when that misses something, or, without a store,
        from another server's.  Raises StartTimeout when none is there within `patience` seconds.
        """
        self._servers.forget_orders(self.name)
        self._beat(ServerStatus.INITIAL)
        if self._news is not None:
            self._news.open()
        self._beat(ServerStatus.STARTING)
        if self._store is None:
            await self._wait_for_a_store(patience)
        else:
            version = self.inventory.store_version()
            first = self._log.first()
            misses_some = version.sequence + 1 < first or version.sequence > self._log.last()
            if (misses_some or version.sequence == 0) and self._sources.any():
                self._clone()
            self._load()
        self.catch_up()
        freeze_image()
        self._beat(self._running())

    async def _wait_for_a_store(self, patience: float) -> None:
        begin = time.monotonic()
        while True:
            try:
                self._borrow()
                return
            except OperationalError as error:
                since = time.monotonic() - begin
                if since > patience:
                    raise StartTimeout(f"No persistent inventory storage is available: {error}") from None
                LOG.warning("waiting for a server with a store since %.0f s: %s", since, error)
            await asyncio.sleep(RETRY_S)
            self._beat(ServerStatus.STARTING)

    def _borrow(self) -> None:
        self._lender, store = self._sources.opened()
        LOG.info("Borrowing the store of %s", self._lender)
        self.inventory.borrow_store(store)
        self._load()

    def _clone(self) -> None:
        name, store = self._sources.opened()
        LOG.info("Cloning the store of %s", name)
        try:
            self.inventory.clone_from(store)
        finally:
            store.close()

    def _load(self) -> None:
        self.inventory.load()
        # A store that is ahead of the log belonged to another one; its numbers mean nothing here.
        self._applied = min(self.inventory.version.sequence, self._log.last())

    def _running(self) -> ServerStatus:
        return ServerStatus.DRAINING if self.is_draining else ServerStatus.ONLINE

    def _obey(self) -> None:
        shall = self._servers.shall_drain(self.name)
        if shall != self.is_draining and self.is_online:
            self.is_draining = shall
            self._status = self._running()
            LOG.info("This server %s", "takes no more work and leaves" if shall else "stays")

    def stop(self) -> None:
        """Give all rights back and leave the fleet."""
        try:
            self._rights.give_back()
            self._servers.remove(self.name)
            self._servers.forget_orders(self.name)
        except DynamoError as error:
            LOG.warning("The fleet was left without a word: %s", error)

    async def serve(self) -> None:
        """Follow the log and keep rights until cancelled; a database that is away for a while is waited for."""
        beaten = collected = looked = 0.0
        while True:
            if time.monotonic() - collected > COLLECT_S:
                gc.collect()
                collected = time.monotonic()
            try:
                if time.monotonic() - beaten > BEAT_S:
                    self._obey()
                    self._keep_rights()
                    self._look_after_the_lender()
                    if self._news is not None:
                        self._news.open()
                    self._beat(self._status)
                    beaten = time.monotonic()
                elif self._told != self._applied:
                    self._beat(self._status)
                if not self.is_draining:
                    self._rights.stand()
                if not self.inventory.loaded:
                    raise OutOfSync("The inventory could not be loaded")
                await self._take_news()
                if not self._has_board or time.monotonic() - looked > LOG_S:
                    if self._log.last() > self._applied:
                        async with self.image:
                            self.catch_up()
                    looked = time.monotonic()
            except OperationalError as error:
                LOG.warning("The master database does not answer: %s", error)
                await asyncio.sleep(RETRY_S)
            except DynamoError as error:
                LOG.error("This server is out of sync: %s", error)
                await self._become_a_clone()
            await asyncio.sleep(BOARD_S if self._has_board else FOLLOW_S)

    @property
    def _has_board(self) -> bool:
        return self._news is not None and self._news.has_board

    async def _take_news(self) -> None:
        """Apply what others have written on the board of this server, or read it from the log if it does not fit."""
        batches = [] if self._news is None else self._news.take()
        if not batches:
            return
        async with self.image:
            for batch in batches:
                if batch.version.epoch < self.inventory.version.epoch:
                    continue  # of somebody whose right to write had gone; the log knows better
                if batch.version.sequence == self._applied + 1:
                    self._try(batch)
                if batch.version.sequence > self._applied:
                    self.catch_up()
            freeze_image()

    def _try(self, batch: Batch) -> None:
        try:
            self._follow(batch, "of the board")
        except BatchRefused as error:
            LOG.error("Batch %d on the board is not what the log has: %s", batch.version.sequence, error)
            if self.inventory.loaded:  # perhaps anew, and from a store that has gone on meanwhile
                self._applied = min(self.inventory.version.sequence, self._log.last())

    async def _become_a_clone(self) -> None:
        """Replace an image that the log does not fit by that of another server, as soon as there is one."""
        async with self.image:
            try:
                if self._store is None:
                    self._borrow()
                else:
                    self._clone()
                    self._load()
                self.catch_up()
                self._beat(self._running())
            except DynamoError as error:
                LOG.error("Nothing runs here until the store of another server can be read: %s", error)
                await asyncio.sleep(RETRY_S)
            finally:
                freeze_image()

    def _look_after_the_lender(self) -> None:
        """Make sure that the server runs whose store is borrowed, and the store answers.  Raises OutOfSync."""
        if self._store is None and not (self._sources.has(self._lender) and self.inventory.check_store()):
            self._beat(ServerStatus.OUTOFSYNC)
            raise OutOfSync(f"Server {self._lender}, whose store is read here, has gone")

    def catch_up(self) -> None:
        """Apply what others have added to the log.  The caller holds `image`.

        Raises BatchRefused when the image is not what the log was written for.
        """
        changed = False
        while batches := self._log.after(self._applied):
            for batch in batches:
                try:
                    self._follow(batch, "of the log")
                except DynamoError:
                    self._beat(ServerStatus.OUTOFSYNC)
                    raise
                changed = True
        if changed:
            freeze_image()

    def _follow(self, batch: Batch, source: str) -> None:
        objects = self.inventory.apply(batch.commands, batch.version)
        self._applied = batch.version.sequence
        note_updates(batch.version, batch.commands, objects)
        LOG.info(
            "Applied batch %d %s by %s: %d commands", self._applied, source, batch.writer, len(batch.commands)
        )

    def take_write_slot(self) -> bool:
        """Be the one of the fleet that writes; False when somebody else is, here or elsewhere."""
        return self.is_online and self._rights.take_write_slot()

    def give_write_slot(self) -> None:
        """Let others write."""
        self._rights.give_write_slot()

    def together(self) -> AbstractContextManager[None]:
        """What is done within happens in the shared database at its end, or not at all."""
        return transaction(self._database)

    async def write(
        self, commands: Commands, app_id: int = 0, also: Callable[[], None] | None = None
    ) -> None:
        """Change the inventory of the whole fleet, all or nothing.

        `also` changes something else in the shared database, in the same transaction.
        Raises BatchRefused for changes that do not fit, Fenced when the right to write has gone.
        """
        held = self._rights.to_write()
        if not commands:
            with self.together():
                self._rights.check(held)
                if also is not None:
                    also()
            return
        await self.with_image(lambda: self._write(held, commands, app_id, also), LEVEL_S)

    async def _write(
        self, held: Held, commands: Commands, app_id: int, also: Callable[[], None] | None
    ) -> None:
        try:
            changed = self.inventory.apply(
                commands, lambda: self._log.append(held, self.name, app_id, commands, also)
            )
            note_updates(self.inventory.version, commands, changed)
            self._tell(Batch(self.inventory.version, self.name, list(commands)))
        finally:
            if self.inventory.loaded:  # perhaps anew, and from a store that has gone on meanwhile
                self._applied = min(self.inventory.version.sequence, self._log.last())
            freeze_image()

    def _tell(self, batch: Batch) -> None:
        if self._news is None:
            return
        try:
            self._news.tell(batch, self._servers.listed())
        except OperationalError as error:
            LOG.warning("Nobody is told of batch %d: %s", batch.version.sequence, error)

    async def with_image(self, work: Callable[[], Awaitable[Result]], patience: float | None) -> Result:
        """Do something with an image that is current, and whose store has the same.

        A database that is away and a borrowed store that is behind are waited for, at most `patience` seconds.
        Raises OperationalError after that, and whatever `work` raises; StoreAhead of `work` is tried again.
        """
        begin = time.monotonic()
        while True:
            async with self.image:
                problem = self._not_current()
                if problem is None:
                    try:
                        return await work()
                    except StoreAhead as error:
                        problem = error
            if patience is not None and time.monotonic() - begin > patience:
                raise OperationalError(str(problem))
            await asyncio.sleep(LEVEL_LOOK_S)

    def _not_current(self) -> OperationalError | None:
        """Catch up; why the image cannot be used then."""
        if not self.inventory.loaded:
            return OperationalError("The inventory is not loaded; another server's store is looked for")
        try:
            self.catch_up()
            store = self.inventory.store
            if self.inventory.is_borrowed and store is not None:
                check_level(store, self.inventory.version)
        except OperationalError as error:
            return error
        return None

    def keep_right(self, name: str, held: Held | None) -> Held | None:
        """Keep a right of the fleet, or take it when nobody has it; None while somebody else has.

        Raises OperationalError while the database is away.
        """
        return self._rights.keep(name, held)

    def order_to_drain(self, name: str, wanted: bool) -> bool:
        """Tell a server of the fleet to leave, or to stay; False for an unknown one."""
        return self._servers.order_to_drain(name, wanted)

    def was_logged(self, app_id: int) -> bool:
        """Are the changes of this application in the log?"""
        return self._log.has_batch_of(app_id)

    def servers_now(self) -> list[dict[str, Any]]:
        """All servers, for people."""
        return self._roster.shown(self._rights.primary())

    def _beat(self, status: ServerStatus) -> None:
        self._status = status
        module, config = advertised(self._store)
        if self._store is None:
            config = {"lender": self._lender}
        board = ("", {}) if self._news is None else self._news.advertised()
        self._servers.beat(self.name, status, module, config, self._applied, *board)
        self._told = self._applied

    def _keep_rights(self) -> None:
        self._rights.renew(may_lead=not self.is_draining)
        if self.is_primary:
            self._roster.look_after(self.name)


def freeze_image() -> None:
    """Keep the collector away from the image: children would copy every page that it touches."""
    gc.collect()
    gc.freeze()
