"""A server: loads the inventory, runs applications, serves clients."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from dynamo.core.applications.cgroups import Limits
from dynamo.core.applications.door import Door
from dynamo.core.applications.sandbox import Confinement
from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.cluster.guardian_process import GuardianProcess
from dynamo.core.cluster.member import Member, StartTimeout
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
    """Log to `server.log` in a folder, or to stderr without one."""
    handler: logging.Handler
    if config.path is None:
        handler = logging.StreamHandler()
    else:
        folder = Path(config.path)
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(folder / "server.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s:%(name)s: %(message)s"))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(config.level.upper())


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
        self.member = Member(
            self.name,
            self.inventory,
            self.master,
            self._config.manager.lease.ttl,
            self._config.inventory.persistency,
            self._config.credentials(),
        )
        try:
            await self.member.start(self._config.start_timeout)
            LOG.info(
                "Loaded %d datasets at %d sites", len(self.inventory.datasets), len(self.inventory.sites)
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self.member.serve())
                group.create_task(self._drain())
                if self._config.fileop is not None and self._config.fileop.enabled:
                    runner = FileOperationsRunner(self._config.fileop, self.master, self.member)
                    group.create_task(runner.serve())
                if self._config.applications.enabled:
                    self._start_applications(group)
                else:
                    self.ready.set()
        finally:
            self.member.stop()
            self.inventory.close()
            self.master.close()

    def _start_applications(self, group: asyncio.TaskGroup) -> None:
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
        group.create_task(sequences.serve())
        group.create_task(postman.serve())
        group.create_task(scheduler.serve())
        group.create_task(self._serve_all(self.door, scheduler, area / "web"))

    async def _drain(self) -> None:
        """Look whether this server was told to leave, and has finished."""
        while not self.drained.is_set():
            await asyncio.sleep(self._config.status_poll_interval)
            busy = (self._scheduler and self._scheduler.jobs) or (self.door and self.door.served)
            if self.member.is_draining and not busy:
                LOG.info("Everything that was begun is finished; this server leaves")
                self.drained.set()

    async def _serve_all(self, door: Door, scheduler: Scheduler, scratch: Path) -> None:
        async with asyncio.TaskGroup() as group:
            if self._config.web.enabled:
                self.listener = Listener(self._config.web, scheduler, scratch)
                started = asyncio.Event()
                group.create_task(self.listener.serve(started))
                await started.wait()
            group.create_task(door.serve(self.ready))


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
