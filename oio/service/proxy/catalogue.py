"""The proxy's copy of the conscience's lists, and choices made from it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from oio.naming import is_address
from oio.service import status
from oio.service.conscience import pools
from oio.service.conscience.ensemble import Ensemble
from oio.service.conscience.pools import Choice, Item, Pool, Unsatisfiable
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from oio.service.status import ServiceError

NEVER: Final = float("-inf")
MAX_POOLS: Final = 1024


class Catalogue:
    """Services of the namespace as its consciences, at these addresses, list them."""

    def __init__(self, namespace: str, addresses: Sequence[str], rpc: RpcClient, settings: Settings) -> None:
        self.namespace = namespace
        self.settings = settings
        self.consciences = Ensemble(addresses, rpc)
        self.own_pools: dict[str, Pool] = {}
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._info: dict[str, Any] = {}
        self._loaded = NEVER
        self._lock = asyncio.Lock()
        self._chance = random.SystemRandom()

    async def change(self, verb: str, args: Mapping[str, Any]) -> None:
        """Have the conscience change something, and look again."""
        await self.consciences.call(verb, args, self.settings.number("proxy.outgoing.timeout.conscience"))
        self._loaded = NEVER

    async def refresh(self) -> None:
        """Ask the conscience if the copy is old; an old copy is better than none."""
        if self._is_fresh():
            return
        asked = time.monotonic()
        async with self._lock:
            # Whoever waited takes what the one before has got.
            if self._is_fresh() or self._loaded > asked:
                return
            limit = self.settings.number("proxy.outgoing.timeout.conscience")
            try:
                self._lists = await self.consciences.call("list", {}, limit)
                self._info = self._info or await self.consciences.call("info", {}, limit)
            except ServiceError as error:
                if not self._lists:
                    raise ServiceError(status.UNAVAILABLE, f"Conscience error: {error.message}") from error
            self._loaded = time.monotonic()

    def _is_fresh(self) -> bool:
        seconds = self.settings.number("proxy.period.cs.downstream")
        return self.settings.is_on("proxy.cache.enabled") and time.monotonic() - self._loaded < seconds

    async def info(self) -> dict[str, Any]:
        """The description of the namespace."""
        await self.refresh()
        return self._info

    async def types(self) -> list[str]:
        """Names of all service types."""
        await self.refresh()
        return sorted(self._lists)

    async def services(self, service_type: str) -> list[dict[str, Any]]:
        """Services of a type; ServiceError 453."""
        await self.refresh()
        if service_type not in self._lists:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"Service type [{service_type}] not managed")
        return self._lists[service_type]

    async def resolve(self, service_type: str, name: str) -> dict[str, Any] | None:
        """A service of a type by its address or its id."""
        for service in await self.services(service_type):
            if name in (service["addr"], service["tags"].get("tag.service_id")):
                return service
        return None

    async def address_of(self, name: str) -> str:
        """The address of a service that is given by address or id; ServiceError 404."""
        if is_address(name):
            return name
        for service_type in await self.types():
            found = await self.resolve(service_type, name)
            if found is not None:
                return str(found["addr"])
        raise ServiceError(status.NOT_FOUND, f"Service ID [{name}] not found")

    async def names_of(self, service_type: str) -> dict[str, str]:
        """Address -> stable id of those services of a type that have one: it is the id that is stored of them."""
        return {
            str(service["addr"]): str(service["tags"]["tag.service_id"])
            for service in (await self._listed()).get(service_type, ())
            if service["tags"].get("tag.service_id")
        }

    async def _listed(self) -> dict[str, list[dict[str, Any]]]:
        await self.refresh()
        return self._lists

    async def items(self) -> list[Item]:
        """All services as pools see them."""
        await self.refresh()
        return [item(kind, service) for kind, services in self._lists.items() for service in services]

    async def pool(self, name: str) -> Pool | None:
        """A pool: one that was created here, one of the namespace, or the type's own."""
        if name in self.own_pools:
            return self.own_pools[name]
        described = (await self.info()).get("service_pools", {}).get(name)
        if described is not None:
            targets, _, options = str(described).partition("/")
            pairs = dict(pair.split("=", 1) for pair in options.split(",") if "=" in pair)
            return pools.parse_pool(name, targets, pairs)
        if name in await self.types():
            return Pool(name, pools.parse_targets(f"1,{name}"))
        return None

    async def poll(
        self,
        pool: Pool,
        known: Iterable[str] = (),
        avoid: Iterable[str] = (),
        known_locations: Iterable[int] = (),
        avoid_locations: Iterable[int] = (),
    ) -> Choice:
        """Choose services; `known` and `avoid` are names, locations numbers of 64 bits. ServiceError 481."""
        items = await self.items()
        wanted, barred = set(known), set(avoid)
        try:
            return pools.poll(
                pool,
                items,
                [one for one in items if one.name in wanted or one.addr in wanted],
                [one for one in items if one.name in barred or one.addr in barred],
                self._chance,
                known_locations,
                avoid_locations,
            )
        except Unsatisfiable as error:
            raise ServiceError(status.POLICY_UNSATISFIABLE, str(error)) from error

    def forget(self) -> None:
        """Look again at the next question."""
        self._loaded = NEVER

    def create_pool(self, pool: Pool, force: bool) -> None:
        """Add a pool to this proxy; ServiceError 421 when there is one of that name and not `force`."""
        if pool.name in self.own_pools and not force:
            raise ServiceError(status.EXISTS, f"A pool named [{pool.name}] already exists")
        if len(self.own_pools) >= MAX_POOLS:
            raise ServiceError(status.BUSY, f"more than {MAX_POOLS} pools")
        self.own_pools[pool.name] = pool


def item(service_type: str, service: Mapping[str, Any]) -> Item:
    """A listed service as pools see it; it is in the slot of its type besides those it names."""
    tags = service["tags"]
    slots = [slot.strip() for slot in str(tags.get("tag.slots", "")).split(",")]
    name = str(tags.get("tag.service_id") or service["addr"])
    return Item(
        name,
        service_type,
        str(service["addr"]),
        str(tags.get("tag.loc", "")),
        frozenset(filter(None, [service_type, *slots])),
        int(service["score"]),
    )


def names(items: Sequence[Item], namespace: str) -> list[dict[str, str]]:
    """Chosen services as they stand on the wire."""
    return [{"addr": one.name, "id": f"{namespace}|{one.type}|{one.name}"} for one in items]
