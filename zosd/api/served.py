"""All handlers together, as the table wants them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from gridtypes import WorkloadType
from provisioners.protocol import Context, Provisioner
from zosd.accept.acceptor import Acceptor
from zosd.api.admin import Admin
from zosd.api.debug import Debug
from zosd.api.deployments import Deployments
from zosd.api.diagnostics import Diagnostics, Probe
from zosd.api.gpu import Gpus
from zosd.api.location import Location
from zosd.api.network import Networks
from zosd.api.perf import Perf, Results
from zosd.api.statistics import Statistics
from zosd.api.system import System
from zosd.api.table import Handler
from zosd.books import Books
from zosd.chainlife.notes import PUBLIC_CONFIG
from zosd.chainlife.registered import Registered
from zosd.clock import Clock
from zosd.config import Config
from zosd.doctor.doctor import Doctor
from zosd.engine.engine import Engine
from zosd.journal.journal import Journal
from zosd.machine import Machine
from zosd.measures import Measures


def handlers(
    config: Config,
    clock: Clock,
    journal: Journal,
    books: Books,
    machine: Machine,
    provisioners: Mapping[WorkloadType, Provisioner],
    ctx: Context,
    acceptor: Acceptor,
    engine: Engine,
    registered: Registered,
    doctor: Doctor,
    measures: Measures,
) -> Mapping[str, Handler]:
    """By the name below `zos.`."""
    light = config.node.light
    results = Results(ctx.paths.run / "perf", clock)
    probes = _probes(machine, provisioners, ctx, journal, registered, ctx.paths.cache)
    return {
        **Deployments(journal, acceptor, engine, clock, measures).handlers(),
        **Statistics(journal, books, machine).handlers(),
        **Gpus(journal, machine).handlers(),
        **Networks(journal, machine, light).handlers(),
        **Admin(machine, doctor, engine.look_again, light).handlers(),
        **System(machine, provisioners, light, _domain(journal)).handlers(),
        **Diagnostics(probes, results, clock).handlers(),
        **Perf(results).handlers(),
        **Location(config.node).handlers(),
        **Debug(journal, provisioners, ctx).handlers(),
    }


def _domain(journal: Journal) -> Callable[[], str]:
    def domain() -> str:
        config = json.loads(journal.ledger.note(PUBLIC_CONFIG) or b"null")
        return str(config.get("domain", "")) if isinstance(config, dict) else ""

    return domain


def _probes(
    machine: Machine,
    provisioners: Mapping[WorkloadType, Provisioner],
    ctx: Context,
    journal: Journal,
    registered: Registered,
    cache: Path,
) -> Mapping[str, Probe]:
    """The parts that this node really has, under the names of the daemons that do their work in the Go node."""

    async def machines() -> None:
        for type in (WorkloadType.ZMACHINE, WorkloadType.ZMACHINE_LIGHT):
            if type in provisioners:
                await provisioners[type].inventory(ctx)

    async def images() -> None:
        if not cache.is_dir():
            raise OSError(f"the cache folder {cache} is missing")

    async def node() -> None:
        registered.node_id()

    async def identity() -> None:
        if not registered.facts.account:
            raise OSError("the node has no key")

    async def provision() -> None:
        journal.check_open()

    return {
        "storage": machine.pools,
        "node": node,
        "identityd": identity,
        "vmd": machines,
        "flist": images,
        "network": machine.addresses,
        "provision": provision,
    }
