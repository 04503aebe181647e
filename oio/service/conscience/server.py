"""The conscience as a service: the registry behind verbs, expiry, a state file that survives a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from oio.naming import is_address
from oio.service import status
from oio.service.conscience.registry import MAX_TAGS, Kind, Registry
from oio.service.conscience.scoring import Expression
from oio.service.rpc import Arguments, RpcServer
from oio.service.status import ServiceError

log = logging.getLogger(__name__)

TYPES: Final = ("account", "beanstalkd", "echo", "meta0", "meta1", "meta2", "oioproxy", "rawx", "rdir")
EXPIRE_EVERY: Final = 1.0
"""Seconds between looks at who has fallen silent and writes of the state file."""


def default_kinds() -> dict[str, Kind]:
    """Types of a namespace that `oio-directory up` makes: whoever is up has score 100, at once."""
    return {
        name: Kind(name, Expression("100"), timeout=15.0, variation=100, lock_first=False) for name in TYPES
    }


class Conscience:
    """Serves one namespace; `description` is what `conscience/info` answers."""

    def __init__(
        self, kinds: Mapping[str, Kind], description: Mapping[str, Any], state: Path, secret: str = ""
    ) -> None:
        self._registry = Registry(kinds)
        self._description = dict(description)
        self._state = state
        self._written = ""
        self._task: asyncio.Task[None] | None = None
        self._server = RpcServer(
            {name[5:]: getattr(self, name) for name in dir(type(self)) if name[:5] == "verb_"}, secret=secret
        )

    async def start(self, host: str, port: int) -> str:
        """Listen; the address. OSError when the port is taken."""
        with contextlib.suppress(FileNotFoundError):
            try:
                self._registry.restore(json.loads(self._state.read_text()), time.monotonic())
            except (ValueError, KeyError, TypeError) as error:
                log.warning("state file %s cannot be read and is started anew: %s", self._state, error)
        await self._server.start(host, port)
        self._task = asyncio.create_task(self._run())
        return self._server.address

    async def stop(self) -> None:
        """Write the state and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._server.stop()
        self._write()

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

    async def verb_lock(self, args: Arguments) -> None:
        for document in self._services(args):
            score = document.get("score", 0)
            if isinstance(score, bool) or not isinstance(score, int):
                raise ServiceError(status.BAD_REQUEST, "Invalid field [score]")
            self._registry.lock(
                document["type"], document["addr"], score, time.monotonic(), args.flag("create")
            )

    async def verb_unlock(self, args: Arguments) -> None:
        for document in self._services(args):
            self._registry.unlock(document["type"], document["addr"], time.monotonic())

    async def verb_deregister(self, args: Arguments) -> None:
        for document in self._services(args):
            self._registry.deregister(document["type"], document["addr"])

    async def verb_flush(self, args: Arguments) -> None:
        self._registry.flush(args.text("type"))

    async def verb_list(self, _args: Arguments) -> Any:
        return {
            kind: [known.document(full=True) for known in self._registry.of_type(kind)]
            for kind in sorted(self._registry.kinds)
        }

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

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            self._registry.expire(time.monotonic())
            self._write()

    def _write(self) -> None:
        text = json.dumps(self._registry.state(), sort_keys=True)
        if text == self._written:
            return
        coming = self._state.with_name(f"{self._state.name}.{os.getpid()}")
        try:
            coming.write_text(text)
            coming.replace(self._state)
            self._written = text
        except OSError as error:
            log.warning("state file %s cannot be written: %s", self._state, error)
