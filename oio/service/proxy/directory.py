"""Who holds a base, and how its master is found: the way of every request from the proxy to a base."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from oio.naming import BaseName, meta1_base, meta2_base
from oio.service import deadline, status
from oio.service.master_search import MasterSearch
from oio.service.proxy.catalogue import Catalogue
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError
from oio.service.verbs import meta0

MAPPING_FRESH: Final = 10.0
"""Seconds for which the mapping of prefixes is used without asking meta0 again."""
NEVER: Final = "never"
"""Marks the answer of a peer that knows of no such base anywhere."""


class Directory:
    """Bases and their peers."""

    def __init__(self, namespace: str, digits: int, catalogue: Catalogue, rpc: RpcClient) -> None:
        self.namespace = namespace
        self.digits = digits
        self.catalogue = catalogue
        self.settings = catalogue.settings
        self.rpc = rpc
        self.search = MasterSearch(catalogue.address_of, rpc, self.settings, self.forget_mapping)
        self._table: list[tuple[str, ...]] = []
        self._loaded = -MAPPING_FRESH
        self._lock = asyncio.Lock()

    # -- who holds what

    async def meta0_peers(self) -> list[str]:
        """All meta0 services that the conscience knows."""
        peers = [
            str(service["tags"].get("tag.service_id") or service["addr"]) for service in await self._meta0s()
        ]
        if not peers:
            raise ServiceError(status.UNAVAILABLE, "No META0 known to the conscience")
        return peers

    async def _meta0s(self) -> list[dict[str, Any]]:
        return await self.catalogue.services("meta0")

    async def mapping(self, fresh: bool = False) -> list[tuple[str, ...]]:
        """The meta1 services of every prefix."""
        async with self._lock:
            cached = self.settings.is_on("proxy.cache.enabled") and not fresh
            if not cached or time.monotonic() - self._loaded > MAPPING_FRESH:
                stored = await self.call(
                    self.meta0_base(), await self.meta0_peers(), "meta0_list", {}, 10.0, safe=True
                )
                self._table = meta0.expand([(int(first), list(map(str, names))) for first, names in stored])
                self._loaded = time.monotonic()
            return self._table

    def meta0_base(self) -> BaseName:
        """The one base of meta0."""
        return BaseName("meta0", self.namespace)

    async def meta1_peers(self, cid: str) -> list[str]:
        """The meta1 services of a container id; ServiceError 503 when none is assigned."""
        peers = (await self.mapping())[int(cid[:4], 16)]
        if not peers:
            peers = (await self.mapping(fresh=True))[int(cid[:4], 16)]
        if not peers:
            raise ServiceError(
                status.UNAVAILABLE, f"No META1: prefix {cid[:4]} is assigned to nobody; bootstrap first"
            )
        return list(peers)

    async def linked(self, cid: str, service_type: str, timeout: float) -> list[dict[str, Any]]:
        """Rows of services of a type; ServiceError 406."""
        args = {"cid": cid, "service_type": service_type}
        answer = await self.meta1(cid, "ref_show", args, timeout, safe=True)
        return [row for row in answer["services"] if row["type"] == service_type]

    async def locate(self, service_type: str, cid: str, timeout: float) -> tuple[BaseName, list[str]]:
        """A base and its peers; ServiceError 406 for an unknown reference, 431 when nothing is linked."""
        if service_type == "meta0":
            return self.meta0_base(), await self.meta0_peers()
        if service_type == "meta1":
            return meta1_base(cid, self.digits), await self.meta1_peers(cid)
        try:
            rows = await self.linked(cid, service_type, timeout)
        except ServiceError as error:
            raise error.prefixed("Directory error: ") from error
        if not rows:
            raise ServiceError(status.BASE_NOT_FOUND, "No service located")
        newest = max(rows, key=lambda row: int(row["seq"]))
        return BaseName(service_type, meta2_base(cid, int(newest["seq"])).name), str(newest["host"]).split(
            ","
        )

    def forget_mapping(self) -> None:
        """Ask meta0 at the next question."""
        self._loaded = -MAPPING_FRESH

    # -- calls

    async def meta1(
        self, cid: str, verb: str, args: Mapping[str, Any], timeout: float, safe: bool = False
    ) -> Any:
        """Call the meta1 base of a container id."""
        base = meta1_base(cid, self.digits)
        return await self.call(base, await self.meta1_peers(cid), verb, args, timeout, safe)

    async def call(
        self,
        base: BaseName,
        peers: Sequence[str],
        verb: str,
        args: Mapping[str, Any],
        timeout: float,
        safe: bool = False,
    ) -> Any:
        """Have the base's master do something, and find it first; waits while there is none.

        `safe` calls may be repeated and, without any master, are answered by whoever is there. Others are not repeated
        once their outcome is open. A meta1 base that has never been is founded where the mapping says now.
        """
        try:
            return await self.search.call(base, peers, verb, args, timeout, repeat=safe, stale=safe)
        except ServiceError as error:
            if not never_founded(base, error.status, error.body):
                raise
        holders = await self.founders(base)
        return await self.search.call(
            base, holders, verb, {**args, "found": True}, deadline.left(timeout), repeat=safe, stale=safe
        )

    async def founders(self, base: BaseName) -> list[str]:
        """Where a meta1 base is to be founded, as meta0 says now and not as it said a while ago."""
        return list((await self.mapping(fresh=True))[int(base.name, 16)])

    async def each(
        self, base: BaseName, asked: Sequence[str], verb: str, args: Mapping[str, Any], timeout: float
    ) -> dict[str, Any]:
        """Call every one of these services: name -> `{"status": {"status", "message"}, "body"}`."""
        full = {"type": base.type, "name": base.name, **args}

        async def one(peer: str) -> dict[str, Any]:
            try:
                address = await self.catalogue.address_of(peer)
                body = await self.rpc.call(address, verb, full, min(timeout, self.search.patience))
            except ServiceError as error:
                never = never_founded(base, error.status, error.body)
                answer = {"status": {"status": error.status, "message": error.message}, "body": ""}
                return {**answer, NEVER: True} if never else answer
            return {"status": {"status": status.OK, "message": "OK"}, "body": "" if body is None else body}

        answers = await asyncio.gather(*(one(peer) for peer in asked))
        return dict(zip(asked, answers, strict=True))


def never_founded(base: BaseName, code: int, body: object) -> bool:
    """Whether an error says that a base has never been which is founded when it is asked for."""
    return base.type == "meta1" and code == status.BASE_NOT_FOUND and body == {NEVER: True}
