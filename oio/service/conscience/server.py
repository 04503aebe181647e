"""The conscience as a service: the registry behind verbs, expiry, files that survive a crash, its part in gossip."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from oio.naming import is_address
from oio.service import status
from oio.service.conscience.gossip import EVERY, Gossip
from oio.service.conscience.journal import Journal
from oio.service.conscience.registry import MAX_TAGS, REMOVED_FOR, Kind, Registry, Stamps
from oio.service.conscience.scoring import Expression
from oio.service.rpc import Arguments, RpcClient, RpcServer
from oio.service.status import ServiceError

log = logging.getLogger(__name__)

TYPES: Final = ("account", "beanstalkd", "echo", "meta0", "meta1", "meta2", "oioproxy", "rawx", "rdir")
EXPIRE_EVERY: Final = 1.0
"""Seconds between looks at who has fallen silent."""
SAVE_EVERY: Final = 10.0
"""Seconds between snapshots. What may not be lost is in the journal before."""


def default_kinds() -> dict[str, Kind]:
    """Types of a namespace that `oio-directory up` makes: whoever is up has score 100, at once."""
    return {
        name: Kind(name, Expression("100"), timeout=15.0, variation=100, lock_first=False) for name in TYPES
    }


class Conscience:
    """Serves one namespace; `description` is what `conscience/info` answers, `state` the file of its snapshots.

    `others` gives the addresses of the namespace's other consciences, `host` is where calls to them come from.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        description: Mapping[str, Any],
        state: Path,
        secret: str = "",
        others: Callable[[], Sequence[str]] = tuple,
        host: str = "",
    ) -> None:
        self._stamps = Stamps()
        self._registry = Registry(kinds, self._stamps)
        self._description = dict(description)
        self._boot = uuid.uuid4().hex
        self._journal = Journal(state)
        self._writing = asyncio.Lock()
        self._saved = 0
        self._rpc = RpcClient(host, secret)
        self._gossip = Gossip(self._registry, self._rpc, others)
        self._tasks: list[asyncio.Task[None]] = []
        self._server = RpcServer(
            {name[5:]: getattr(self, name) for name in dir(type(self)) if name[:5] == "verb_"}, secret=secret
        )

    async def start(self, host: str, port: int) -> str:
        """Take up what the files and the other consciences know, and listen; the address.

        OSError when the port is taken.
        """
        for documents in await asyncio.to_thread(lambda: list(self._journal.read())):
            try:
                self._registry.restore(documents, time.monotonic())
            except ServiceError as error:
                log.warning("state file %s: %s", self._journal.snapshot, error)
        await self._gossip.ask()
        await self._server.start(host, port)
        self._tasks = [asyncio.create_task(self._expire()), asyncio.create_task(self._exchange())]
        return self._server.address

    async def stop(self) -> None:
        """Write the state and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        await self._rpc.close()
        await self._save()

    async def verb_ping(self, _args: Arguments) -> str:
        return "OK"

    async def verb_push(self, args: Arguments) -> None:
        for document in self._services(args):
            tags = document.get("tags") or {}
            if not isinstance(tags, dict) or len(tags) > MAX_TAGS:
                raise ServiceError(
                    status.BAD_REQUEST, f"Invalid field [tags]: an object of at most {MAX_TAGS} tags"
                )
            self._registry.push(document["type"], document["addr"], tags, time.monotonic())
        await self._note(sync=False)

    async def verb_lock(self, args: Arguments) -> None:
        for document in self._services(args):
            score = document.get("score", 0)
            if isinstance(score, bool) or not isinstance(score, int):
                raise ServiceError(status.BAD_REQUEST, "Invalid field [score]")
            self._registry.lock(
                document["type"], document["addr"], score, time.monotonic(), args.flag("create")
            )
        await self._note(sync=True)

    async def verb_unlock(self, args: Arguments) -> None:
        for document in self._services(args):
            self._registry.unlock(document["type"], document["addr"], time.monotonic())
        await self._note(sync=True)

    async def verb_deregister(self, args: Arguments) -> None:
        for document in self._services(args):
            self._registry.deregister(document["type"], document["addr"])
        await self._note(sync=True)

    async def verb_flush(self, args: Arguments) -> None:
        self._registry.flush(args.text("type"))
        await self._note(sync=True)

    async def verb_changes(self, args: Arguments) -> Any:
        """For another conscience: what has changed since it asked last."""
        since = args.number("since") if args.text("boot") == self._boot else 0
        services = self._registry.changes(since, time.monotonic())
        return {"boot": self._boot, "version": self._registry.version, "services": services}

    async def verb_merge(self, args: Arguments) -> None:
        """From another conscience: what has changed there."""
        services = args.raw("services")
        if not isinstance(services, list):
            raise ServiceError(status.BAD_REQUEST, "Expected: a list of services")
        self._registry.merge(services, time.monotonic())
        await self._note(sync=True, tell=False)

    async def verb_list(self, _args: Arguments) -> Any:
        return {
            kind: [known.document(full=True) for known in self._registry.of_type(kind)]
            for kind in sorted(self._registry.kinds)
        }

    async def verb_resolve(self, args: Arguments) -> str:
        """The address of a service of any type by its stable id; empty when nobody has it."""
        name = args.text("name")
        found = (self._registry.find(kind, name) for kind in sorted(self._registry.kinds))
        return next((known.addr for known in found if known is not None), "")

    async def verb_info(self, _args: Arguments) -> Any:
        return self._description

    def _services(self, args: Arguments) -> list[dict[str, Any]]:
        documents = args.raw("services")
        if not isinstance(documents, list):
            raise ServiceError(status.BAD_REQUEST, "Expected: a list of services")
        for document in documents:
            if not isinstance(document.get("type"), str) or not isinstance(document.get("addr"), str):
                raise ServiceError(status.BAD_REQUEST, "Missing field [addr]")
            self._registry.kind(document["type"])
            known = self._registry.find(document["type"], document["addr"])
            if known is None and not is_address(document["addr"]):
                raise ServiceError(status.BAD_REQUEST, "Invalid address")
            if known is not None:
                document["addr"] = known.addr
        return documents

    async def _note(self, sync: bool, tell: bool = True) -> None:
        """Keep what has changed, and tell the others what an operator did; ServiceError 503 when it cannot be kept."""
        documents = self._registry.take_notable(time.monotonic())
        if not documents:
            return
        try:
            async with self._writing:
                await asyncio.to_thread(self._journal.append, documents, sync)
        except OSError as error:
            log.warning("journal %s cannot be written: %s", self._journal.path, error)
            if sync:
                raise ServiceError(
                    status.UNAVAILABLE, f"what was changed is not on the disk: {error}"
                ) from error
        if sync and tell:
            await self._gossip.tell(documents)

    async def _expire(self) -> None:
        saved = time.monotonic()
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            now = time.monotonic()
            self._registry.expire(now)
            if now - saved > SAVE_EVERY or self._journal.long:
                self._registry.forget_removals(self._stamps.now() - REMOVED_FOR)
                await self._save()
                saved = now

    async def _exchange(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._gossip.ask()
            await self._note(sync=False)

    async def _save(self) -> None:
        version = self._registry.version
        if version == self._saved:
            return
        try:
            async with self._writing:
                await asyncio.to_thread(self._journal.save, self._registry.changes(0, time.monotonic()))
            self._saved = version
        except OSError as error:
            log.warning("state file %s cannot be written: %s", self._journal.snapshot, error)
