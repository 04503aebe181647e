"""One server of a fleet: follows the log of changes, and adds to it while it has the right to write."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dynamo.core.components.impl.database import Database
from dynamo.core.dynamoinventory import DynamoInventory
from dynamo.core.master.applications import ApplicationQueue
from dynamo.core.master.changelog import ChangeLog, Commands
from dynamo.core.master.database import transaction
from dynamo.core.master.lease import PRIMARY, WRITE, Held, Leases
from dynamo.core.master.servers import SILENT_S, ServerRow, Servers, ServerStatus
from dynamo.core.serverconfig import Component
from dynamo.dataformat import DynamoError, OperationalError

LOG = logging.getLogger(__name__)

FOLLOW_S = 0.2
"""How often the log is looked at, in seconds."""
RETRY_S = 1.0
"""How long to wait after something that did not work, in seconds."""
COLLECT_S = 10.0
"""How often garbage is collected, in seconds: the collector is off, and the frozen image costs it nothing."""
BEAT_S = 2.0
"""How often a server says that it lives, and renews its rights, in seconds."""


class Member:
    """A server with its inventory.  Whatever forks or changes the image holds `image`."""

    def __init__(
        self, name: str, inventory: DynamoInventory, database: Database, ttl: int, store: Component | None
    ) -> None:
        """`ttl` of rights in seconds; `store` is the configuration of the server's own store."""
        self.name = name
        self.inventory = inventory
        self.image = asyncio.Lock()
        self.is_primary = False
        self._database = database
        self._leases = Leases(database, name, ttl)
        self._log = ChangeLog(database, self._leases)
        self._servers = Servers(database)
        self._queue = ApplicationQueue(database)
        self._store = store
        self._status = ServerStatus.INITIAL
        self._applied = 0
        self._told = 0
        self._writing: Held | None = None
        self._primary: Held | None = None

    @property
    def applied(self) -> int:
        """Number of the last batch that the image has."""
        return self._applied

    def start(self) -> None:
        """Load the image, from the own store or as a clone of another server's, and catch up with the log.

        Raises OperationalError when there is no store, or no server to clone from although one is needed.
        """
        if self._store is None:
            raise OperationalError(
                "No persistent inventory storage is available; configure inventory.persistency"
            )
        self._beat(ServerStatus.STARTING)
        version = self.inventory.store_version()
        first = self._log.first()
        source = self._best_source()
        misses_some = version.sequence + 1 < first or version.sequence > self._log.last()
        if source is not None and (misses_some or version.sequence == 0):
            self._clone(source)
        self.inventory.load()
        # A store that is ahead of the log belonged to another one; its numbers mean nothing here.
        self._applied = min(self.inventory.store_version().sequence, self._log.last())
        self.catch_up()
        freeze_image()
        self._beat(ServerStatus.ONLINE)

    def stop(self) -> None:
        """Give all rights back and leave the fleet."""
        try:
            for held in (self._writing, self._primary):
                if held is not None:
                    self._leases.release(held)
            self._servers.remove(self.name)
        except DynamoError as error:
            LOG.warning("The fleet was left without a word: %s", error)

    async def serve(self) -> None:
        """Follow the log and keep rights until cancelled; a database that is away for a while is waited for."""
        beaten = collected = 0.0
        while True:
            if time.monotonic() - collected > COLLECT_S:
                gc.collect()
                collected = time.monotonic()
            try:
                if time.monotonic() - beaten > BEAT_S:
                    self._keep_rights()
                    self._beat(self._status)
                    beaten = time.monotonic()
                elif self._told != self._applied:
                    self._beat(self._status)
                if self._log.last() > self._applied:
                    async with self.image:
                        self.catch_up()
            except OperationalError as error:
                LOG.warning("The master database does not answer: %s", error)
                await asyncio.sleep(RETRY_S)
            except DynamoError as error:
                LOG.error("This server is out of sync: %s", error)
                await self._become_a_clone()
            await asyncio.sleep(FOLLOW_S)

    async def _become_a_clone(self) -> None:
        """Replace an image that the log does not fit by that of another server, as soon as there is one."""
        async with self.image:
            source = self._best_source()
            if source is None:
                LOG.error("There is no server to clone from; nobody writes here until there is one")
                await asyncio.sleep(RETRY_S)
                return
            try:
                self._clone(source)
                self.inventory.load()
                self._applied = self.inventory.store_version().sequence
                self.catch_up()
                self._beat(ServerStatus.ONLINE)
            except DynamoError as error:
                LOG.error("Cloning the store of %s failed: %s", source.name, error)
                await asyncio.sleep(RETRY_S)
            finally:
                freeze_image()

    def _best_source(self) -> ServerRow | None:
        others = [
            row
            for row in self._servers.listed()
            if row.name != self.name and row.status is ServerStatus.ONLINE and row.silent <= SILENT_S
        ]
        return max(others, key=lambda row: row.sequence, default=None)

    def _clone(self, source: ServerRow) -> None:
        LOG.info("Cloning the store of %s", source.name)
        self.inventory.clone_store(source.store_module, source.store_config)

    def catch_up(self) -> None:
        """Apply what others have added to the log.  The caller holds `image`.

        Raises BatchRefused when the image is not what the log was written for.
        """
        changed = False
        while batches := self._log.after(self._applied):
            for batch in batches:
                try:
                    self.inventory.apply(batch.commands, batch.version)
                except DynamoError:
                    self._beat(ServerStatus.OUTOFSYNC)
                    raise
                self._applied = batch.version.sequence
                changed = True
                LOG.info(
                    "Applied batch %d of %s: %d commands", self._applied, batch.writer, len(batch.commands)
                )
        if changed:
            freeze_image()

    def take_write_slot(self) -> bool:
        """Be the one of the fleet that writes; False when somebody else is, here or elsewhere."""
        if self._writing is not None or self._status is not ServerStatus.ONLINE:
            return False
        self._writing = self._leases.acquire(WRITE)
        return self._writing is not None

    def give_write_slot(self) -> None:
        """Let others write."""
        held, self._writing = self._writing, None
        if held is not None:
            try:
                self._leases.release(held)
            except OperationalError as error:
                LOG.warning("The right to write was not given back, it ends by itself: %s", error)

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
        held = self._writing
        if held is None:
            raise OperationalError("The right to write has gone; nothing was changed")
        if not commands:
            with self.together():
                self._leases.check(held)
                if also is not None:
                    also()
            return
        async with self.image:
            try:
                self.catch_up()
                self.inventory.apply(
                    commands, lambda: self._log.append(held, self.name, app_id, commands, also)
                )
                self._applied = self.inventory.store_version().sequence
            finally:
                freeze_image()

    def keep_right(self, name: str, held: Held | None) -> Held | None:
        """Keep a right of the fleet, or take it when nobody has it; None while somebody else has.

        Raises OperationalError while the database is away.
        """
        if held is not None and self._leases.renew(held):
            return held
        return self._leases.acquire(name)

    def was_logged(self, app_id: int) -> bool:
        """Are the changes of this application in the log?"""
        return self._log.has_batch_of(app_id)

    def servers_now(self) -> list[dict[str, Any]]:
        """All servers, for people."""
        primary = self._leases.holder(PRIMARY)
        return [
            {
                "name": row.name,
                "status": str(row.status) if row.silent <= SILENT_S else "silent",
                "silent": row.silent,
                "applied": row.sequence,
                "behind": max(0, self._log.last() - row.sequence),
                "primary": row.name == primary,
            }
            for row in self._servers.listed()
        ]

    def _beat(self, status: ServerStatus) -> None:
        self._status = status
        store = self._store
        self._servers.beat(
            self.name,
            status,
            "" if store is None else store.module,
            {} if store is None else store.config,
            self._applied,
        )
        self._told = self._applied

    def _keep_rights(self) -> None:
        if self._writing is not None and not self._leases.renew(self._writing):
            LOG.error("The right to write was lost; what is written now will be refused")
        if self._primary is None or not self._leases.renew(self._primary):
            self._primary = self._leases.acquire(PRIMARY)
        if self.is_primary != (self._primary is not None):
            self.is_primary = self._primary is not None
            LOG.info("This server is %s", "the primary" if self.is_primary else "no longer the primary")
        if self.is_primary:
            self._look_after_the_fleet()

    def _look_after_the_fleet(self) -> None:
        rows = self._servers.listed()
        gone = [row.name for row in rows if row.silent > SILENT_S and row.name != self.name]
        for name in gone:
            LOG.error("Server %s has not been heard of for %d s", name, SILENT_S)
            self._servers.remove(name)
        killed = self._queue.unfinished_of(gone)
        if killed:
            LOG.error("%d applications of servers that are gone are marked killed", killed)
        self._log.forget(min((row.sequence for row in rows), default=0))


def freeze_image() -> None:
    """Keep the collector away from the image: children would copy every page that it touches."""
    gc.collect()
    gc.freeze()
