"""A meta0, meta1 or meta2 service: its volume, its part in elections, the verbs it answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw

from oio.service import status, versions, wire
from oio.service.base import Base
from oio.service.copy import CANTOPEN
from oio.service.election import State
from oio.service.leadership import Leadership
from oio.service.lease import LeaseStore
from oio.service.naming import BaseName, is_service_id
from oio.service.node import Node
from oio.service.replicated import ReplicatedBase
from oio.service.repository import Repository
from oio.service.rpc import Arguments, RpcClient, RpcServer
from oio.service.settings import Settings
from oio.service.status import ServiceError
from oio.service.succession import NeverFounded
from oio.service.verbs import meta0, meta1, meta2, properties
from oio.service.verbs.meta1 import Policy, Service

log = logging.getLogger(__name__)

T = TypeVar("T")
DEFAULT_TTL = 3.0
MAX_BASES = 65536
"""Bases whose elections are remembered; the idle one unused for longest is forgotten first."""
FOUNDED_AT_ONCE = "meta1"
"""Bases of this type are made when they are first asked for, because the mapping of prefixes says who holds them."""


class MetaService:
    """One service over one volume. `ttl` is the time of its leases in seconds."""

    def __init__(
        self, service_type: str, namespace: str, volume: Path, leases: LeaseStore, ttl: float = DEFAULT_TTL
    ) -> None:
        self.type = service_type
        self.namespace = namespace
        self.volume = volume
        self.settings = Settings()
        self._leases = leases
        self._ttl = ttl
        self._bases: dict[BaseName, ReplicatedBase] = {}
        self._node: Node | None = None
        self._server = RpcServer(
            {name[5:]: getattr(self, name) for name in dir(type(self)) if name[:5] == "verb_"}
        )

    async def start(self, host: str, port: int) -> str:
        """Listen and take part; the address. OSError when the port is taken or the volume cannot be made."""
        self.volume.mkdir(parents=True, exist_ok=True)
        await self._server.start(host, port)
        address = self._server.address
        leadership = Leadership(self._leases, f"{address}#{uuid.uuid4().hex}", self._ttl)
        self._node = Node(
            address, self.namespace, Repository(self.volume, self.namespace), leadership, RpcClient(host)
        )
        self._node.spawn(leadership.run())
        self._node.spawn(self._attend())
        return address

    async def stop(self) -> None:
        """Stop serving; leases expire by themselves."""
        await self._server.stop()
        if self._node is not None:
            await self._node.stop()
            await self._node.rpc.close()
        await self._leases.close()

    async def _attend(self) -> None:
        """Again and again bring up the peers of own bases that are behind, until the service stops."""
        while True:
            await asyncio.sleep(self._ttl / 2)
            for base in list(self._bases.values()):
                try:
                    await base.bring_up_lagging()
                except ServiceError as error:
                    log.warning("%s: peers are not brought up: %s", base.name.name, error)

    @property
    def node(self) -> Node:
        """What the bases share; there once the service has started."""
        if self._node is None:
            raise RuntimeError(f"the {self.type} service has not started")
        return self._node

    def _base(self, args: Arguments) -> ReplicatedBase:
        name = wire.base_name(args)
        if name.type != self.type:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"this is a {self.type} service, not a {name.type}")
        base = self._bases.pop(name, None) or ReplicatedBase(name, self.node)
        self._bases[name] = base
        if len(self._bases) > MAX_BASES:
            idle = next((name for name, old in self._bases.items() if old.idle), None)
            if idle is not None:
                del self._bases[idle]
        return base

    async def _read(self, args: Arguments, act: Callable[[apsw.Connection], T]) -> T:
        base, found = self._base(args), self.type == FOUNDED_AT_ONCE
        return await base.read(act, args.texts("peers"), args.flag("stale"), found)

    async def _write(self, args: Arguments, act: Callable[[apsw.Connection], T]) -> T:
        return await self._base(args).write(act, args.texts("peers"), found=self.type == FOUNDED_AT_ONCE)

    # -- between peers

    async def verb_peer_promise(self, args: Arguments) -> Any:
        return await self._base(args).copy.promise(
            args.number("token"), args.text("caller"), args.number("born", 0)
        )

    async def verb_peer_prepare(self, args: Arguments) -> Any:
        return await self._base(args).prepare(wire.unpack_prepare(args), args.number("born"))

    async def verb_peer_entries(self, args: Arguments) -> Any:
        return await self._base(args).copy.entries(args.number("first"), args.number("last"))

    async def verb_peer_install(self, args: Arguments) -> Any:
        return await self._base(args).copy.install(args.data("data"), args.number("token"))

    async def verb_peer_found(self, args: Arguments) -> None:
        await self._base(args).copy.found(frozenset(args.texts("peers")), args.number("born"))

    async def verb_peer_dump(self, args: Arguments) -> Any:
        return await self._base(args).copy.dump(with_tail=True)

    # -- elections and files

    async def verb_ping(self, _args: Arguments) -> str:
        return "OK"

    async def verb_base_ping(self, args: Arguments) -> str:
        self._base(args)
        return ""

    async def verb_base_status(self, args: Arguments) -> str:
        await self._base(args).status(args.texts("peers"), self.type == FOUNDED_AT_ONCE)
        return ""

    async def verb_base_has(self, args: Arguments) -> str:
        base = self._base(args)
        await base.copy.on_base(lambda opened: opened.facts())
        return str(base.copy.volume_path())

    async def verb_base_leave(self, args: Arguments) -> str:
        await self._base(args).leave()
        return ""

    async def verb_base_sync(self, args: Arguments) -> str:
        base = self._base(args)
        try:
            await base.status(args.texts("peers"))
        except ServiceError as error:
            if error.status != status.REDIRECT:
                raise
            await base.copy.pull(error.message)
            return ""
        raise ServiceError(status.NOT_SLAVE, "not SLAVE")

    async def verb_base_remove(self, args: Arguments) -> str:
        if not await self._base(args).remove(args.text("suffix", "")):
            raise ServiceError(status.BASE_NOT_FOUND, CANTOPEN)
        return ""

    async def verb_base_copy(self, args: Arguments) -> None:
        base = self._base(args)
        suffix = args.text("suffix", "")
        if args.flag("local"):
            await base.copy.copy_here(suffix)
            return
        if base.is_master():
            raise ServiceError(status.IS_MASTER, "Restore operation is not allowed on the master service")
        await base.copy.pull(args.text("from"), suffix)

    async def verb_base_debug(self, args: Arguments) -> Any:
        base = self._base(args)
        with contextlib.suppress(ServiceError):
            await base.status(args.texts("peers"))
        is_master = base.is_master()
        peers = sorted(set(args.texts("peers")) - {self.node.address})
        return {
            "local": {
                "id": 0 if is_master else 1,
                "url": self.node.address,
                "state": base.election.state.value,
            },
            "master": {"id": 0, "url": None if is_master else base.master or None},
            "base": {
                "name": base.name.name,
                "type": base.name.type,
                "zk": f"/hc/ns/{self.namespace}/el/{base.name.election_path}",
                "zk_server": "",
            },
            "#": {
                "refcount": 1,
                "pipefrom": 0,
                "getvers": 0,
                "seconds_since_last_access": 0,
                "seconds_since_last_status": 0,
            },
            "peers": peers,
            "log": list(base.election.log),
        }

    async def verb_base_vacuum(self, args: Arguments) -> None:
        base = self._base(args)
        if not args.flag("local"):
            await self._write(args, properties.note_vacuum)
        await base.copy.on_base(lambda opened: opened.vacuum())

    async def verb_base_get_properties(self, args: Arguments) -> Any:
        base = self._base(args)
        stored = await self._read(args, properties.rows)
        statistics = await base.copy.on_base(lambda opened: opened.statistics())
        user, system = properties.split(stored)
        return {"properties": user, "system": {**system, **statistics}}

    async def verb_base_set_properties(self, args: Arguments) -> None:
        user, system = args.mapping("properties"), args.mapping("system")
        peers: frozenset[str] | None = None
        if "sys.peers" in system:
            peers = frozenset(filter(None, system["sys.peers"].split(",")))
            if not peers or not all(is_service_id(peer) for peer in peers):
                raise ServiceError(status.BAD_REQUEST, f"Invalid sys.peers {system['sys.peers']!r}")
            system["sys.peers"] = ",".join(sorted(peers))
        base = self._base(args)
        await base.write(
            lambda db: properties.change(db, user, system), args.texts("peers"), peers, found=False
        )

    async def verb_base_del_properties(self, args: Arguments) -> None:
        names = args.texts("names")
        await self._write(args, lambda db: properties.delete(db, names))

    async def verb_base_versions(self, args: Arguments) -> Any:
        def act(opened: Base) -> dict[str, Any]:
            return {"versions": versions.parse(opened.admin()), "facts": wire.pack_facts(opened.facts())}

        return await self._base(args).copy.on_base(act)

    # -- meta0

    async def verb_meta0_list(self, args: Arguments) -> Any:
        try:
            return await self._read(args, meta0.runs)
        except NeverFounded:
            return []

    async def verb_meta0_force(self, args: Arguments) -> None:
        mapping = args.raw("mapping")
        await self._base(args).write(lambda db: meta0.force(db, mapping), args.texts("peers"))

    # -- meta1

    async def verb_ref_create(self, args: Arguments) -> bool:
        cid, account, name, values = (
            args.text("cid"),
            args.text("account"),
            args.text("ref"),
            args.mapping("properties"),
        )
        return await self._write(args, lambda db: meta1.create(db, cid, account, name, values))

    async def verb_ref_show(self, args: Arguments) -> Any:
        cid, kind = args.text("cid"), args.text("service_type", "")

        def act(db: apsw.Connection) -> dict[str, Any]:
            account, name = meta1.owner(db, cid)
            return {
                "account": account,
                "name": name,
                "services": [row.document() for row in meta1.services(db, cid, kind)],
            }

        return await self._read(args, act)

    async def verb_ref_destroy(self, args: Arguments) -> None:
        cid, force = args.text("cid"), args.flag("force")
        await self._write(args, lambda db: meta1.destroy(db, cid, force))

    async def verb_ref_link(self, args: Arguments) -> Any:
        cid, kind = args.text("cid"), args.text("service_type")
        candidates, up = args.texts("candidates"), frozenset(args.texts("up"))
        rows = await self._write(args, lambda db: meta1.link(db, cid, kind, candidates, up))
        return [row.document() for row in rows]

    async def verb_ref_renew(self, args: Arguments) -> Any:
        cid, kind, candidates = args.text("cid"), args.text("service_type"), args.texts("candidates")
        policy = Policy(args.text("policy"))
        rows = await self._write(args, lambda db: meta1.renew(db, cid, kind, candidates, policy))
        return [row.document() for row in rows]

    async def verb_ref_unlink(self, args: Arguments) -> None:
        cid, kind = args.text("cid"), args.text("service_type")
        await self._write(args, lambda db: meta1.unlink(db, cid, kind))

    async def verb_ref_force(self, args: Arguments) -> None:
        cid, row, replace = args.text("cid"), _service(args), args.flag("replace")
        await self._write(args, lambda db: meta1.force(db, cid, row, replace))

    async def verb_ref_relink(self, args: Arguments) -> Any:
        cid, row, chosen = args.text("cid"), _service(args), args.texts("candidates")
        going = Service(row.seq, row.type, args.text("replaced"))
        rows = await self._write(args, lambda db: meta1.relink(db, cid, row, going, chosen))
        return [one.document() for one in rows]

    async def verb_ref_get_properties(self, args: Arguments) -> Any:
        cid, names = args.text("cid"), args.texts("names")
        return await self._read(args, lambda db: meta1.properties(db, cid, names))

    async def verb_ref_set_properties(self, args: Arguments) -> None:
        cid, values, flush = args.text("cid"), args.mapping("properties"), args.flag("flush")
        await self._write(args, lambda db: meta1.set_properties(db, cid, values, flush))

    async def verb_ref_del_properties(self, args: Arguments) -> None:
        cid, names = args.text("cid"), args.texts("names")
        await self._write(args, lambda db: meta1.delete_properties(db, cid, names))

    # -- meta2

    async def verb_container_create(self, args: Arguments) -> bool:
        account, name = args.text("account"), args.text("ref")
        user, system = args.mapping("properties"), args.mapping("system")
        base = self._base(args)
        return await base.write(lambda db: meta2.create(db, account, name, user, system), args.texts("peers"))

    async def verb_container_check_destroy(self, args: Arguments) -> None:
        force = args.flag("force")
        await self._read(args, lambda db: meta2.check_destroy(db, force))

    # -- the service itself

    async def verb_info(self, _args: Arguments) -> Any:
        states = [base.election.state for base in self._bases.values()]
        count = {state: states.count(state) for state in State}
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
            "cache": {"max": 512, "soft_max": 512, "hot": 0, "cold": 0, "used": 0},
            "server": {"threads": {"active": 1}, "connections": {"clients": 1}},
            "version": "oio-directory/1",
        }

    async def verb_stats(self, _args: Arguments) -> Any:
        return {"req.hits": self._server.requests, "elections": len(self._bases)}

    async def verb_get_settings(self, _args: Arguments) -> Any:
        return self.settings.all()

    async def verb_set_settings(self, args: Arguments) -> Any:
        return self.settings.change(args.mapping("values"))

    async def verb_balance(self, args: Arguments) -> int:
        limit = args.number("max", 0)
        left = 0
        for base in list(self._bases.values()):
            if left >= limit:
                break
            if base.is_master():
                await base.leave()
                left += 1
        return left

    async def verb_kill(self, _args: Arguments) -> None:
        """End this process as a signal would."""
        os.kill(os.getpid(), signal.SIGTERM)

    async def verb_nothing(self, _args: Arguments) -> None:
        """Caches of bases are bounded and always current: nothing is to be flushed."""


def _service(args: Arguments) -> Service:
    return Service(
        args.number("seq"), args.text("service_type"), args.text("host"), args.text("service_args", "")
    )
