"""A meta0, meta1 or meta2 service: its volume, its part in elections, the verbs it answers."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from oio.common.volume import claim_volume
from oio.naming import BaseName
from oio.service import memory, status, wire
from oio.service.base_verbs import BaseVerbs
from oio.service.conscience.ensemble import Ensemble
from oio.service.deletion import Deletions
from oio.service.directory_verbs import DirectoryVerbs
from oio.service.election import State
from oio.service.leadership import Leadership
from oio.service.lease import LeaseStore
from oio.service.names import Names
from oio.service.node import Node
from oio.service.replicated import ReplicatedBase
from oio.service.repository import Repository
from oio.service.rpc import Arguments, RpcClient, RpcServer
from oio.service.serving import FOUNDED_AT_ONCE
from oio.service.settings import Settings
from oio.service.status import ServiceError
from oio.service.sweep import Sweep

log = logging.getLogger(__name__)

DEFAULT_TTL = 3.0
MAX_BASES = 65536
"""Bases whose elections are remembered; the idle one unused for longest is forgotten first."""


class MetaService(BaseVerbs, DirectoryVerbs):
    """One service over one volume. `ttl` is the time of its leases in seconds, `secret` that of the namespace.

    With a stable `service_id` its peers know it by that, wherever it listens; `consciences` are the addresses of those
    that say where others are which have one.
    """

    def __init__(
        self,
        service_type: str,
        namespace: str,
        volume: Path,
        leases: LeaseStore,
        ttl: float = DEFAULT_TTL,
        secret: str = "",
        service_id: str = "",
        consciences: Sequence[str] = (),
    ) -> None:
        self.type = service_type
        self.namespace = namespace
        self.volume = volume
        self.settings = Settings()
        self._leases = leases
        self._ttl = ttl
        self._bases: dict[BaseName, ReplicatedBase] = {}
        self._node: Node | None = None
        self._deletions: Deletions | None = None
        self._server = RpcServer(
            {name[5:]: getattr(self, name) for name in dir(type(self)) if name[:5] == "verb_"}, secret=secret
        )
        self._secret = secret
        self._service_id = service_id
        self._consciences = list(consciences)

    async def start(self, host: str, port: int) -> str:
        """Listen and take part; the address.

        OSError when the port is taken or the volume cannot be made, ValueError when the volume is another service's.
        """
        self.volume.mkdir(parents=True, exist_ok=True)
        await self._server.start(host, port)
        address = self._server.address
        name = self._service_id or address
        try:
            claim_volume(self.volume, self.namespace, name, self.type)
        except ValueError:
            await self._server.stop()
            raise
        leadership = Leadership(self._leases, f"{name}#{uuid.uuid4().hex}", self._ttl)
        rpc = RpcClient(host, self._secret)
        self._node = Node(
            name,
            self.namespace,
            Repository(
                self.volume,
                self.namespace,
                lambda: int(self.settings.number("sqliterepo.repo.hard_max")),
            ),
            leadership,
            rpc,
            self.settings,
            Names(Ensemble(self._consciences, rpc) if self._consciences else None),
        )
        self._node.spawn(leadership.run())
        self._node.spawn(self._attend())
        self._node.spawn(self.sweep.run())
        self._deletions = Deletions(self._node)
        if self.type == FOUNDED_AT_ONCE:
            self._node.spawn(self._deletions.run(self._bases.values, self._ttl / 2))
        return address

    async def stop(self) -> None:
        """Stop serving and give up all leases, so that others need not wait for their end."""
        await self._server.stop()
        if self._node is not None:
            await self._node.stop()
            await self._node.leadership.leave_all()
            await self._node.rpc.close()
        await self._leases.close()

    async def _attend(self) -> None:
        """Again and again bring up peers that are behind and go back into elections, until the service stops."""
        while True:
            await asyncio.sleep(self._ttl / 2)
            for base in list(self._bases.values()):
                try:
                    await base.bring_up_lagging()
                    if not self.settings.is_on("sqliterepo.election.allow_master"):
                        await base.leave()
                    elif base.election.state in (State.NONE, State.FAILED):
                        await base.take_part()
                except ServiceError as error:
                    log.debug("%s: %s", base.name.name, error)

    @property
    def address(self) -> str:
        """Where it listens, once it has started."""
        return self._server.address

    @property
    def sweep(self) -> Sweep:
        """What deletes copies that nobody needs any more."""
        return Sweep(self.node, self._named)

    @property
    def node(self) -> Node:
        """What the bases share; there once the service has started."""
        if self._node is None:
            raise RuntimeError(f"the {self.type} service has not started")
        return self._node

    @property
    def deletions(self) -> Deletions:
        """What deletes bases and their links; there once the service has started."""
        if self._deletions is None:
            raise RuntimeError(f"the {self.type} service has not started")
        return self._deletions

    def _base(self, args: Arguments) -> ReplicatedBase:
        name = wire.base_name(args)
        if name.type != self.type:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"this is a {self.type} service, not a {name.type}")
        return self._named(name)

    def _named(self, name: BaseName) -> ReplicatedBase:
        base = self._bases.pop(name, None) or ReplicatedBase(name, self.node)
        self._bases[name] = base
        if len(self._bases) > MAX_BASES:
            idle = next((name for name, old in self._bases.items() if old.idle), None)
            if idle is not None:
                del self._bases[idle]
        return base

    # -- the service itself

    async def verb_info(self, _args: Arguments) -> Any:
        states = [base.election.state for base in self._bases.values()]
        count = {state: states.count(state) for state in State}
        most, opened = int(self.settings.number("sqliterepo.repo.hard_max")), self.node.repository.opened
        pending = count[State.CREATING] + count[State.CHECKING_SLAVES] + count[State.LEAVING]
        return {
            "sqlite": [f"VERSION_RUNTIME={apsw.sqlite_lib_version()}", *apsw.compile_options],
            "sqliterepo": {
                "width": {"meta0": 0, "meta1": 2}.get(self.type, 3),
                "depth": 0 if self.type == "meta0" else 1,
                "vacuum": False,
                "delete": True,
            },
            "replication": "QUORUM",
            "elections": {
                "total": len(states),
                "none": count[State.NONE],
                "pending": pending,
                "failed": count[State.FAILED],
                "slave": count[State.SLAVE],
                "master": count[State.MASTER],
            },
            "cache": {"max": most, "soft_max": most, "hot": 0, "cold": opened, "used": opened},
            "server": {"threads": {"active": 1}, "connections": {"clients": 1}},
            "version": "oio-directory/1",
        }

    async def verb_bases(self, _args: Arguments) -> list[str]:
        """Names of all bases on the volume."""
        return sorted(one.name for one in await asyncio.to_thread(self.node.repository.names))

    async def verb_stats(self, _args: Arguments) -> Any:
        return {"req.hits": self._server.requests, "elections": len(self._bases)}

    async def verb_get_settings(self, _args: Arguments) -> Any:
        return self.settings.all()

    async def verb_set_settings(self, args: Arguments) -> Any:
        return self.settings.change(args.mapping("values"))

    async def verb_balance(self, args: Arguments) -> int:
        """Leave elections that this service has won, at most `max`, of bases that were idle for `inactivity` seconds,
        as long as it is master of more than its share. How many were left."""
        limit, idle = args.number("max", 0), args.number("inactivity", 0)
        left, now = 0, time.monotonic()
        bases = list(self._bases.values())
        share = math.ceil(sum(1 / base.copies for base in bases if base.copies))
        for base in bases:
            if left >= limit or sum(one.is_master() for one in bases) <= share:
                break
            if base.is_master() and now - base.used >= idle:
                await base.leave()
                left += 1
        return left

    async def verb_kill(self, _args: Arguments) -> None:
        """End this process as a signal would."""
        os.kill(os.getpid(), signal.SIGTERM)

    async def verb_release_memory(self, _args: Arguments) -> None:
        await asyncio.to_thread(memory.release)

    async def verb_nothing(self, _args: Arguments) -> None:
        """Caches of bases are bounded and always current: nothing is to be flushed."""
