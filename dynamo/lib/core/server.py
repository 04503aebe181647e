"""A server: loads the inventory, runs applications, serves clients."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from dynamo.core.applications.cgroups import Limits
from dynamo.core.applications.door import Door
from dynamo.core.applications.sandbox import Confinement
from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.cluster.courier_process import CourierProcess
from dynamo.core.cluster.guardian_process import GuardianProcess
from dynamo.core.cluster.member import Member, StartTimeout
from dynamo.core.cluster.news import News
from dynamo.core.cluster.updates_log import UPDATES
from dynamo.core.components.impl.database import Database
from dynamo.core.dynamoinventory import DynamoInventory
from dynamo.core.mail import Postman
from dynamo.core.master.applications import ApplicationQueue
from dynamo.core.master.authorizations import Authorizations
from dynamo.core.master.database import open_master
from dynamo.core.master.users import Users
from dynamo.core.registry.desk import Desk
from dynamo.core.sequences.register import SequenceRegister
from dynamo.core.sequences.runner import SequenceRunner
from dynamo.core.serverconfig import LoggingConfig, ServerConfig
from dynamo.dataformat import ConfigurationError, OperationalError
from dynamo.fileop.runner import FileOperationsRunner
from dynamo.web.listener import Listener

LOG = logging.getLogger(__name__)

LOG_BYTES = 10 << 20
LOG_FILES = 100


def set_up_logging(config: LoggingConfig) -> None:
    """Log to `server.log` in a folder, or to stderr without one.

    In a folder, requests of the web go to `web.log` and changed objects to `updates.log`, unless `changelog` is off.
    """
    logging.root.setLevel(config.level.upper())
    if config.path is None:
        _log_to(logging.root, logging.StreamHandler())
        return
    folder = Path(config.path)
    folder.mkdir(parents=True, exist_ok=True)
    _log_to(logging.root, _rotating(folder / "server.log"))
    _log_to(logging.getLogger("dynamo.web"), _rotating(folder / "web.log"))
    if config.changelog:
        _log_to(UPDATES, _rotating(folder / "updates.log"))


def _rotating(path: Path) -> logging.Handler:
    return RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="backslashreplace"
    )


def _log_to(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s:%(name)s: %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False


class Server:
    """One server of a fleet, in one thread, so that it can fork."""

    def __init__(self, config: ServerConfig) -> None:
        """Raises ConfigurationError, OperationalError when the store cannot be opened."""
        self._config = config
        self.name = config.name or socket.gethostname()
        self.inventory = DynamoInventory(config.inventory.model_dump(exclude_none=True, exclude={"reading"}))
        self.door: Door | None = None
        self._scheduler: Scheduler | None = None
        self.listener: Listener | None = None
        self._services: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """What runs programs and serves their clients, once the inventory is there."""
        self.ready = asyncio.Event()
        self.drained = asyncio.Event()
        """Set when everything is finished that was begun before this server was told to leave."""

    async def run(self) -> None:
        """Load, then serve until cancelled.  Raises StartTimeout when there is no master database for too long."""
        gc.disable()
        if self._config.manager.master.replicas is None:
            await self._run()
            return
        watching = asyncio.create_task(GuardianProcess(self._config, self.name).serve())
        try:
            await self._run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _run(self) -> None:
        self.master = await reached_master(self._config)
        courier = CourierProcess(self._config.logging.path)
        # In a group every machine gets the log by replication, and its MariaDB takes nothing else.
        is_fleet = self._config.manager.master.db_params is not None
        news = (
            News(self.name, self._config.board_params(), courier, self._config.posting())
            if is_fleet
            else None
        )
        self.member = Member(
            self.name,
            self.inventory,
            self.master,
            self._config.manager.lease.ttl,
            self._config.inventory.persistency,
            self._config.credentials(),
            news,
        )
        try:
            if self._config.applications.enabled:
                self._prepare_applications()
            async with self._web_from_the_start() as web:
                await self.member.start(self._config.start_timeout)
                LOG.info(
                    "Loaded %d datasets at %d sites", len(self.inventory.datasets), len(self.inventory.sites)
                )
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.member.serve())
                    group.create_task(self._drain())
                    if news is not None:
                        group.create_task(courier.serve())
                    if web is not None:
                        group.create_task(_ended(web))
                    if self._config.fileop is not None and self._config.fileop.enabled:
                        runner = FileOperationsRunner(self._config.fileop, self.master, self.member)
                        group.create_task(runner.serve())
                    if self.door is None:
                        self.ready.set()
                    for serve_them in self._services:
                        group.create_task(serve_them())
        finally:
            self.member.stop()
            if news is not None:
                news.close()
            self.inventory.close()
            self.master.close()

    @asynccontextmanager
    async def _web_from_the_start(self) -> AsyncIterator[asyncio.Task[None] | None]:
        """Listen for requests, which are told to come back later until the inventory is there."""
        if self.listener is None:
            yield None
            return
        started = asyncio.Event()
        web = asyncio.create_task(self.listener.serve(started))
        starting = asyncio.create_task(started.wait())
        try:
            await asyncio.wait({web, starting}, return_when=asyncio.FIRST_COMPLETED)
            if web.done():
                try:
                    web.result()
                except OSError as error:
                    raise OperationalError(f"Requests of the web cannot come in: {error}") from None
            yield web
        finally:
            starting.cancel()
            web.cancel()
            await asyncio.gather(starting, web, return_exceptions=True)

    def _prepare_applications(self) -> None:
        applications = self._config.applications
        door = applications.server
        if door is None:
            raise ConfigurationError("applications.enabled needs applications.server, where clients come in")
        area = Path(door.workarea_base).resolve()
        limits = Limits(applications.max_memory, applications.max_processes)
        confinement = Confinement(applications.user, area, limits)
        for line in confinement.report():
            (LOG.warning if "NOT" in line else LOG.info)("Programs are confined: %s", line)
        store = self._config.inventory.persistency
        if store is not None and "db_params" in store.config and store.readonly_config is None:
            LOG.warning(
                "Programs read the store as the user that writes it; configure inventory.persistency.readonly_config"
            )
        authorizations = Authorizations(self.master)
        scheduler = Scheduler(
            self.member,
            ApplicationQueue(self.master),
            authorizations,
            Users(self.master),
            Desk(self.master),
            area,
            timeout=applications.timeout,
            retain_days=applications.retain_records_for,
            max_procs=applications.max_procs,
            confinement=confinement,
            poll=self._config.status_poll_interval,
        )
        postman = Postman(self._config.mail, self.name)
        sequences = SequenceRunner(
            SequenceRegister(self.master, authorizations),
            scheduler,
            applications.sequence_round,
            postman,
            self._config.notification_recipient,
        )
        self.door = Door(door, scheduler, sequences)
        self._scheduler = scheduler
        if self._config.web.enabled:
            self.listener = Listener(self._config.web, scheduler, area / "web")
        self._services = [
            sequences.serve,
            postman.serve,
            scheduler.serve,
            partial(self.door.serve, self.ready),
        ]

    async def _drain(self) -> None:
        """Look whether this server was told to leave, and has finished."""
        while not self.drained.is_set():
            await asyncio.sleep(self._config.status_poll_interval)
            busy = (self._scheduler and self._scheduler.jobs) or (self.door and self.door.served)
            if self.member.is_draining and not busy:
                LOG.info("Everything that was begun is finished; this server leaves")
                self.drained.set()


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a task of somebody else; its failure is this one's."""
    await asyncio.shield(task)


async def reached_master(config: ServerConfig) -> Database:
    """The master database, waited for up to the start time-out.  Raises StartTimeout."""
    begin = time.monotonic()
    pause = 0.5
    while True:
        try:
            return open_master(config.manager.master)
        except OperationalError as error:
            since = time.monotonic() - begin
            if since > config.start_timeout:
                raise StartTimeout(f"No master database after {since:.0f} s: {error}") from None
            LOG.warning("waiting for the master database since %.0f s: %s", since, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 15.0)


async def serve(config: ServerConfig, port_file: Path | None = None) -> None:
    """Run a server until SIGTERM, SIGINT or SIGHUP, or until it was told to leave and is done.

    `port_file` gets all ports in JSON once clients are served.
    """
    server = Server(config)
    running = asyncio.create_task(server.run())
    leaving = asyncio.create_task(_end_when_drained(server, running))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    if port_file is not None:
        waiting = asyncio.create_task(server.ready.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if server.door is not None and not running.done():
            ports = {"applications": server.door.port, **(server.listener.ports if server.listener else {})}
            port_file.write_text(json.dumps(ports))
    try:
        await running
    except asyncio.CancelledError:
        LOG.info("The server stops")
    finally:
        leaving.cancel()


async def _end_when_drained(server: Server, running: asyncio.Task[None]) -> None:
    await server.drained.wait()
    running.cancel()
