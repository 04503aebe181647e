"""Verbs of the three levels of the directory: prefixes, references, containers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from oio.service import status
from oio.service.deletion import ROUNDS, Deletions
from oio.service.rpc import Arguments
from oio.service.serving import Serving
from oio.service.status import ServiceError
from oio.service.succession import NeverFounded
from oio.service.verbs import meta0, meta1, meta2
from oio.service.verbs.deletions import Pending, require_none
from oio.service.verbs.meta1 import Policy, Service
from oio.service.verbs.properties import require_enabled

T = TypeVar("T")


class DirectoryVerbs(Serving):
    """Verbs `meta0_…`, `ref_…` and `container_…`."""

    @property
    @abstractmethod
    def deletions(self) -> Deletions:
        """What this service deletes."""

    async def _settled(self, args: Arguments, act: Callable[[apsw.Connection], T], cid: str) -> T:
        """Change a reference, and complete before what others began to delete of it."""

        def free(db: apsw.Connection) -> T:
            require_none(db, cid)
            return act(db)

        for _ in range(ROUNDS):
            try:
                return await self._write(args, free)
            except Pending as pending:
                await self.deletions.settle(self._base(args), args.texts("peers"), pending)
        raise ServiceError(status.UNAVAILABLE, "the reference changes; try again")

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

    async def verb_ref_delete(self, args: Arguments) -> None:
        cid, kind = args.text("cid"), args.text("service_type")
        base, peers = self._base(args), args.texts("peers")
        await self.deletions.delete(base, peers, cid, kind, args.flag("force"), self._may_found(args))

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
        await self._settled(args, lambda db: meta1.destroy(db, cid, force), cid)

    async def verb_ref_link(self, args: Arguments) -> Any:
        cid, kind = args.text("cid"), args.text("service_type")
        candidates, up = args.texts("candidates"), frozenset(args.texts("up"))
        rows = await self._settled(args, lambda db: meta1.link(db, cid, kind, candidates, up), cid)
        return [row.document() for row in rows]

    async def verb_ref_renew(self, args: Arguments) -> Any:
        cid, kind, candidates = args.text("cid"), args.text("service_type"), args.texts("candidates")
        policy = Policy(args.text("policy"))
        rows = await self._settled(args, lambda db: meta1.renew(db, cid, kind, candidates, policy), cid)
        return [row.document() for row in rows]

    async def verb_ref_unlink(self, args: Arguments) -> None:
        cid, kind = args.text("cid"), args.text("service_type")
        await self._settled(args, lambda db: meta1.unlink(db, cid, kind), cid)

    async def verb_ref_force(self, args: Arguments) -> None:
        cid, row, replace = args.text("cid"), _service(args), args.flag("replace")
        await self._settled(args, lambda db: meta1.force(db, cid, row, replace), cid)

    async def verb_ref_relink(self, args: Arguments) -> Any:
        cid, row, chosen = args.text("cid"), _service(args), args.texts("candidates")
        going = Service(row.seq, row.type, args.text("replaced"))
        rows = await self._settled(args, lambda db: meta1.relink(db, cid, row, going, chosen), cid)
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

    async def verb_ref_linked(self, args: Arguments) -> Any:
        kind, host = args.text("service_type"), args.text("host")
        after, limit = args.text("after", ""), args.number("limit")
        try:
            return await self._read(args, lambda db: meta1.linked_to(db, kind, host, after, limit))
        except NeverFounded:
            return []

    # -- meta2

    async def verb_container_create(self, args: Arguments) -> dict[str, Any]:
        account, name = args.text("account"), args.text("ref")
        user, system = args.mapping("properties"), args.mapping("system")
        base = self._base(args)

        def act(db: apsw.Connection) -> dict[str, Any]:
            require_enabled(db, writing=True)
            return {"made": meta2.create(db, account, name, user, system), "born": meta2.born(db)}

        return await base.write(act, args.texts("peers"))

    async def verb_container_check_destroy(self, args: Arguments) -> int:
        force = args.flag("force")

        def act(db: apsw.Connection) -> int:
            meta2.check_destroy(db, force)
            return meta2.born(db)

        return await self._read(args, act)

    async def verb_container_destroy(self, args: Arguments) -> list[str]:
        born, force = args.number("born"), args.flag("force")
        return await self._write(args, lambda db: meta2.destroy(db, born, force))


def _service(args: Arguments) -> Service:
    return Service(
        args.number("seq"), args.text("service_type"), args.text("host"), args.text("service_args", "")
    )
