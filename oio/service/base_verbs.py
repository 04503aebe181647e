"""Verbs of any base: between its peers, about elections and files, about properties."""

from __future__ import annotations

import contextlib
from typing import Any

import apsw

from oio.naming import is_service_id
from oio.service import status, versions, wire
from oio.service.base import Base
from oio.service.copy import CANTOPEN
from oio.service.repository import Presence
from oio.service.rpc import Arguments
from oio.service.serving import Serving
from oio.service.status import ServiceError
from oio.service.verbs import properties


class BaseVerbs(Serving):
    """Verbs `peer_…` and `base_…`."""

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

    async def verb_peer_presence(self, args: Arguments) -> Any:
        copy = self._base(args).copy
        presence = await copy.presence()
        peers = sorted(await copy.peers()) if presence is Presence.HERE else []
        buried = await copy.on_repository(lambda repository: repository.buried(copy.name))
        return {"presence": presence.value, "peers": peers, "buried": buried}

    async def verb_peer_dump(self, args: Arguments) -> Any:
        return await self._base(args).copy.dump(with_tail=True)

    # -- elections and files

    async def verb_ping(self, _args: Arguments) -> str:
        return "OK"

    async def verb_base_ping(self, args: Arguments) -> str:
        self._base(args)
        return ""

    async def verb_base_status(self, args: Arguments) -> str:
        await self._base(args).status(args.texts("peers"), self._may_found(args))
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

    async def verb_base_bury(self, args: Arguments) -> bool:
        return await self._base(args).bury(args.number("born"))

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
        peers = sorted(set(args.texts("peers")) - {self.node.name})
        return {
            "local": {
                "id": 0 if is_master else 1,
                "url": self.node.name,
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
            await base.write(properties.note_vacuum, args.texts("peers"), found=self._may_found(args))
        await base.copy.on_base(lambda opened: opened.vacuum())

    async def verb_base_get_properties(self, args: Arguments) -> Any:
        base = self._base(args)
        stored = await base.read(
            properties.rows, args.texts("peers"), args.flag("stale"), self._may_found(args)
        )
        statistics = await base.copy.on_base(lambda opened: opened.statistics())
        user, system = properties.split(stored)
        return {"properties": user, "system": {**system, **statistics}}

    async def verb_base_set_properties(self, args: Arguments) -> None:
        user, system = args.mapping("properties"), args.mapping("system")

        def act(db: apsw.Connection) -> None:
            if user:
                properties.require_enabled(db, writing=True)
            properties.change(db, user, system)

        peers: frozenset[str] | None = None
        if "sys.peers" in system:
            peers = frozenset(filter(None, system["sys.peers"].split(",")))
            if not peers or not all(is_service_id(peer) for peer in peers):
                raise ServiceError(status.BAD_REQUEST, f"Invalid sys.peers {system['sys.peers']!r}")
            system["sys.peers"] = ",".join(sorted(peers))
        base = self._base(args)
        await base.write(act, args.texts("peers"), peers, found=False)

    async def verb_base_del_properties(self, args: Arguments) -> None:
        names = args.texts("names")
        await self._write(args, lambda db: properties.delete(db, names))

    async def verb_base_versions(self, args: Arguments) -> Any:
        def act(opened: Base) -> dict[str, Any]:
            return {"versions": versions.parse(opened.admin()), "facts": wire.pack_facts(opened.facts())}

        return await self._base(args).copy.on_base(act)
