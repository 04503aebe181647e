"""This peer's copy of one base: access to it, one act at a time, and what a peer does when a master asks."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from oio.naming import BaseName
from oio.service import deadline, quorum, replica, status, wire
from oio.service.base import Base
from oio.service.changeset import ChangeConflict
from oio.service.node import Node
from oio.service.replica import Facts, Fenced, Gap, Prepare
from oio.service.repository import Buried, Presence, Repository
from oio.service.status import ServiceError

T = TypeVar("T")


class Copy:
    """The copy of the base `name` in the volume of `node`, whether it is there or not."""

    def __init__(self, name: BaseName, node: Node) -> None:
        self.name = name
        self.node = node
        self._io = asyncio.Lock()

    # -- access

    async def on_base(self, act: Callable[[Base], T]) -> T:
        """Run a blocking act over the open base.

        ServiceError 431 when it is not here, 511 when it is damaged, 504 when the request ended while it waited.
        """
        async with self._io:
            deadline.check()
            return await asyncio.to_thread(self._act, act)

    async def on_repository(self, act: Callable[[Repository], T]) -> T:
        """Run a blocking act over the volume, while nobody uses the base."""

        def held() -> T:
            with self.node.repository.using(self.name), self._storage_errors():
                return act(self.node.repository)

        async with self._io:
            deadline.check()
            return await asyncio.to_thread(held)

    def _act(self, act: Callable[[Base], T]) -> T:
        repository = self.node.repository
        with repository.using(self.name), self._storage_errors():
            try:
                return act(repository.open(self.name))
            except FileNotFoundError as error:
                raise ServiceError(
                    status.BASE_NOT_FOUND, "Container not found : (2) No such file or directory"
                ) from error

    @contextlib.contextmanager
    def _storage_errors(self) -> Iterator[None]:
        where = f"{self.name.name} at {self.node.name}"
        try:
            yield
        except apsw.FullError as error:
            raise ServiceError(status.BUSY, f"no room left for {where}") from error
        except (apsw.ReadOnlyError, apsw.IOError, apsw.CantOpenError, PermissionError) as error:
            raise ServiceError(status.UNAVAILABLE, f"{where}: {error}") from error
        except (ChangeConflict, apsw.CorruptError, apsw.NotADBError) as error:
            self.node.repository.condemn(self.name)
            raise ServiceError(status.CORRUPT, f"{where} is damaged: {error}") from error
        except FileNotFoundError:
            raise
        except Buried as error:
            raise ServiceError(status.BASE_NOT_FOUND, f"{where}: {error}") from error
        except OSError as error:
            full = error.errno == errno.ENOSPC
            raise ServiceError(status.BUSY if full else status.UNAVAILABLE, f"{where}: {error}") from error

    async def presence(self) -> Presence:
        """Whether the file is here."""
        return await self.on_repository(lambda repository: repository.presence(self.name))

    async def facts(self) -> Facts:
        """Where the log stands; ServiceError 431."""
        return await self.on_base(lambda base: base.facts())

    async def peers(self) -> frozenset[str]:
        """The peers that the copy itself names; ServiceError 431."""
        return await self.on_base(lambda base: base.peers())

    def volume_path(self, suffix: str = "") -> Path:
        """Where the file stands."""
        return self.node.repository.path(self.name, suffix)

    def args(self, **values: Any) -> dict[str, Any]:
        """Arguments of a verb about this base."""
        return {"type": self.name.type, "name": self.name.name, **values}

    # -- following a master

    async def promise(self, token: int, caller: str, born: int) -> dict[str, Any]:
        """Answer a peer that wants to be master; ServiceError 473 when a higher token was promised.

        `born` is that of the caller's copy, 0 when it has none.
        """
        presence = await self.presence()
        if presence is not Presence.HERE:
            return {"absent": presence.value}

        def act(base: Base) -> dict[str, Any]:
            if born not in (0, base.born()):
                return {"absent": OTHER}
            if caller not in quorum.everyone(base.configs()):
                raise ServiceError(status.NOT_ALLOWED, f"Base not managed by {caller}")
            try:
                return wire.pack_promise(replica.take_promise(base, token))
            except Fenced as error:
                raise ServiceError(status.IS_MASTER, str(error), {"promised": error.promised}) from error

        return await self.on_base(act)

    async def prepare(self, message: Prepare, born: int) -> dict[str, Any]:
        """Take a master's batch into the log; ServiceError 473 when it has been deposed."""

        def act(base: Base) -> dict[str, Any]:
            if base.born() != born:
                raise ServiceError(status.BASE_NOT_FOUND, f"another base has the name {self.name.name} here")
            try:
                return {"taken": True, "facts": wire.pack_facts(replica.accept(base, message))}
            except Gap as gap:
                return {"taken": False, "facts": wire.pack_facts(gap.facts)}
            except Fenced as error:
                raise ServiceError(status.IS_MASTER, str(error), {"promised": error.promised}) from error

        return await self.on_base(act)

    async def entries(self, first: int, last: int) -> dict[str, Any]:
        """A part of the log, for a peer that becomes master; `joins` tells whether it reaches back to `first`."""

        def act(base: Base) -> dict[str, Any]:
            kept = base.entries(first, last)
            joins = kept[0].seq == first if kept else first > base.facts().last_seq
            return {"entries": wire.pack_entries(kept), "joins": joins}

        return await self.on_base(act)

    # -- whole copies

    async def install(self, data: bytes, token: int) -> list[int]:
        """Take a whole copy from the master; the facts afterwards. ServiceError 473 when it has been deposed.

        A copy that is older than what the log here holds is not taken: it was overtaken on its way.
        """

        def act(repository: Repository) -> list[int]:
            if repository.presence(self.name) is Presence.HERE:
                facts = repository.open(self.name).facts()
                if replica.is_fenced(facts.promised, token):
                    text = f"a master with token {facts.promised} has taken over"
                    raise ServiceError(status.IS_MASTER, text, {"promised": facts.promised})
            repository.install(self.name, data)
            base = repository.open(self.name)
            base.promise(token)
            return wire.pack_facts(base.facts())

        return await self.on_repository(act)

    async def dump(self, with_tail: bool) -> bytes:
        """The base as bytes; ServiceError 431 when it is not here."""

        def act(repository: Repository) -> bytes:
            try:
                return repository.dump(self.name, with_tail)
            except FileNotFoundError as error:
                raise ServiceError(status.BASE_NOT_FOUND, CANTOPEN) from error

        return await self.on_repository(act)

    async def pull(self, source: str, suffix: str = "") -> None:
        """Take a whole copy from a peer, unless the own one is as far; ServiceError 431 when the peer has none.

        The copy comes with the uncommitted end of the peer's log: this peer may be needed for a majority at once.
        """
        limit = self.node.settings.number("sqliterepo.outgoing.timeout.req.resync")
        data: bytes = await self.node.call(source, "peer_dump", self.args(), limit)
        await self.on_repository(lambda repository: repository.install(self.name, data, suffix))

    async def copy_here(self, suffix: str) -> None:
        """Keep a copy of the own base under a suffix; ServiceError 431."""
        data = await self.dump(with_tail=False)
        await self.on_repository(lambda repository: repository.install(self.name, data, suffix))

    async def born(self) -> int:
        """What tells the base from others of its name; 0 when it is not here."""
        try:
            return await self.on_base(lambda base: base.born())
        except ServiceError as error:
            if error.status != status.BASE_NOT_FOUND:
                raise
        return 0

    async def condemn(self) -> None:
        """Put the own copy aside."""
        await self.on_repository(lambda repository: repository.condemn(self.name))

    async def found(self, peers: frozenset[str], born: int) -> None:
        """Make the empty base, if it never was here; ServiceError 421 when another one of its name is."""
        admin = {"sys.peers": ",".join(sorted(peers))}
        if self.name.type == "meta2":
            admin["sys.ns"] = self.node.namespace

        def act(repository: Repository) -> None:
            try:
                repository.found(self.name, admin, born)
            except FileExistsError as error:
                here = repository.presence(self.name) is Presence.HERE
                if not here or repository.open(self.name).born() != born:
                    raise ServiceError(
                        status.EXISTS, f"{self.name.name} is or was at {self.node.name}"
                    ) from error

        await self.on_repository(act)

    async def remove_unless_changed(self, facts: Facts, deleted: bool) -> bool:
        """Delete the file if its log still stands there; whether it was. `deleted`: at all peers, for good."""

        def act(repository: Repository) -> bool:
            if repository.presence(self.name) is not Presence.HERE:
                return False
            base = repository.open(self.name)
            if base.facts() != facts:
                return False
            return repository.bury(self.name, base.born()) if deleted else repository.remove(self.name)

        return await self.on_repository(act)

    async def remove(self, suffix: str) -> bool:
        """Delete the file; whether there was one."""
        return await self.on_repository(lambda repository: repository.remove(self.name, suffix))

    async def bury(self, born: int) -> bool:
        """Delete the file of a base that is deleted at all its peers, unless it is another's; whether it was here."""
        return await self.on_repository(lambda repository: repository.bury(self.name, born))


OTHER: Final = "other"
"""What a peer answers that has another base of this name."""
CANTOPEN: Final = "sqlite3_open error: (errno=2 No such file or directory) (rc=14) SQLITE_CANTOPEN"
