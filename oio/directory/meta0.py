"""The mapping of prefixes to meta1 services, which meta0 keeps: read, planned, written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from oio.common.client import ProxyClient
from oio.common.exceptions import ConfigurationException, PreconditionFailed
from oio.directory import locations, prefixes
from oio.directory.mapping import bootstrap as bootstrapping
from oio.directory.mapping import choice
from oio.directory.mapping import decommission as emptying
from oio.directory.mapping import rebalance as levelling
from oio.directory.mapping.placement import Candidate, Move, Placement
from oio.directory.meta import MetaMapping, Service, service_key
from oio.directory.prefixes import (
    MAX_DIGITS,
    count_prefixes,
    generate_prefixes,
    generate_short_prefixes,
)

__all__ = [
    "Meta0Client",
    "Meta0PrefixMapping",
    "count_prefixes",
    "generate_prefixes",
    "generate_short_prefixes",
]

META1_TYPE = "meta1"
MAX_DIST = 4
Strategy = Callable[..., Sequence[Service]]
"""From `known`, the services that stay: these and the new ones."""


class Meta0Client(ProxyClient):
    """Client of meta0."""

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(conf, request_prefix="/admin", **kwargs)

    def force(self, mapping: str | bytes | Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        """Write prefixes: 4 hex digits -> meta1 services; others stay. BadRequest names what is malformed."""
        data = mapping if isinstance(mapping, str | bytes) else json.dumps(mapping)
        self._request("POST", "/meta0_force", data=data, **kwargs)

    def list(self, **kwargs: Any) -> dict[str, list[str]]:
        """Every assigned prefix and its meta1 services."""
        return dict(self._request("GET", "/meta0_list", **kwargs)[1])


class Meta0PrefixMapping(MetaMapping):
    """Meta1 services and the bases they hold.

    `replicas` of each base, `digits` (0 to 4; None: 4) that name a base, `min_dist` levels between two replicas.
    ConfigurationException for a number that cannot be.
    """

    def __init__(
        self,
        meta0_client: Meta0Client,
        replicas: int = 3,
        digits: int | None = None,
        min_dist: int = 1,
        **kwargs: Any,
    ) -> None:
        self.m0 = meta0_client
        self.replicas = int(replicas)
        if self.replicas < 1:
            raise ConfigurationException("replicas must be >= 1")
        self.digits = MAX_DIGITS if digits is None else int(digits)
        if self.digits < 0:
            raise ConfigurationException("meta_digits must be >= 0")
        if self.digits > MAX_DIGITS:
            raise ConfigurationException("meta_digits must be <= 4")
        self.min_dist = min_dist
        if self.min_dist < 1:
            raise ConfigurationException("min_dist must be >= 1")
        if self.min_dist > MAX_DIST:
            raise ConfigurationException("min_dist must be <= 4")
        self.further_runs = 0
        super().__init__(meta0_client.conf, [META1_TYPE], **kwargs)

    def __bool__(self) -> bool:
        """Whether any base is assigned."""
        return bool(self.services_by_base)

    # -- what is known of services and bases

    @property
    def services(self) -> dict[str, Service]:
        """The meta1 services by their key."""
        return self.services_by_service_type[META1_TYPE]

    def num_bases(self) -> int:
        """Number of meta1 bases."""
        return count_prefixes(self.digits)

    def get_loc(self, svc: str | Mapping[str, Any], default: str | None = None) -> str:
        """Where a service, or the one of this key, stands.

        One that does not say: `default`, or its address without the port when that is None, empty or `addr`.
        """
        service = self.services.get(svc, {"addr": svc}) if isinstance(svc, str) else svc
        found = service.get("tags", {}).get("tag.loc", None if default == "addr" else default)
        return str(found or service["addr"].rsplit(":", 1)[0])

    @staticmethod
    def dist_between(loc1: str, loc2: str) -> int:
        """Levels between two locations."""
        return locations.distance(loc1, loc2)

    def get_score(self, svc: str | Mapping[str, Any]) -> int:
        """Score of a service; 0 when it is not known."""
        service = self.services.get(svc, {}) if isinstance(svc, str) else svc
        return int(service.get("score", 0))

    def get_managed_bases(self, svc: str | Service) -> set[str]:
        """Names of the bases that a service holds: the set itself, not a copy."""
        if isinstance(svc, str):
            service = self.services.get(svc, {})
        else:
            service = self.services.get(service_key(svc), svc)
        found: set[str] = service.setdefault("bases", set())
        return found

    def prefix_to_base(self, prefix: str) -> str:
        """The base of a prefix, padded to four characters."""
        return prefixes.base_of(prefix, self.digits)

    def prefix_siblings(self, prefix: str) -> list[str]:
        """All prefixes of the same base."""
        return prefixes.siblings(prefix, self.digits)

    def count_pfx_by_svc(self) -> dict[str, int]:
        """Address of each service -> number of its bases."""
        return {service["addr"]: len(service["bases"]) for service in self.services.values()}

    def check_replicas(self) -> bool:
        """Whether every base has enough services; each that has too few is logged, too many is a warning."""
        enough = True
        for base, services in sorted(self.services_by_base.items()):
            if len(services) < self.replicas:
                self.logger.error("Base %s has %d replicas of %d", base, len(services), self.replicas)
                enough = False
            elif len(services) > self.replicas:
                self.logger.warning("Base %s has %d replicas, not %d", base, len(services), self.replicas)
        return enough

    # -- in and out

    def assign_services(
        self, base: str, services: Iterable[Service], fail_if_already_set: bool = False
    ) -> None:
        """Let services hold a base. ValueError when it is assigned and `fail_if_already_set`.

        Services that held it before keep it in their own set.
        """
        if fail_if_already_set and base in self.services_by_base:
            raise ValueError(f"Base {base} already managed")
        chosen = list(services)
        for service in chosen:
            service.setdefault("bases", set()).add(base)
        self.services_by_base[base] = chosen

    def to_json(self, bases: Iterable[str] | None = None) -> str:
        """A JSON object: every prefix of these bases, or of all, -> names of its services."""
        chosen = self.services_by_base if bases is None else bases
        mapping = {}
        for base in chosen:
            keys = [service_key(service) for service in self.services_by_base[base]]
            mapping.update(dict.fromkeys(self.prefix_siblings(base), keys))
        return json.dumps(mapping)

    def load_json(self, json_mapping: str | Mapping[str, Sequence[str]] | None = None, **kwargs: Any) -> None:
        """Take a mapping from a JSON text or an object, or from meta0 when it is None. ValueError for no JSON."""
        if json_mapping is None:
            mapping: Mapping[str, Sequence[str]] = self.m0.list(**kwargs)
        else:
            mapping = json.loads(json_mapping) if isinstance(json_mapping, str) else json_mapping
        by_address = {service["addr"]: service for service in self.services.values()}
        for prefix, names in mapping.items():
            base = prefix[: self.digits]
            found = [
                self.services.get(name) or by_address.setdefault(name, {"addr": name, "tags": {}})
                for name in names
            ]
            self.assign_services(base, found)
            self.raw_services_by_base[base] = found

    def adopt(self, base: str, old: Iterable[str], new: Iterable[str]) -> None:
        """Take over that a base goes from the services `old` to `new`, as planned before."""
        self.raw_services_by_base[base] = [self._service(key) for key in old]
        self.assign_services(base, [self._service(key) for key in new])

    def load_meta0(
        self, json_mapping: str | Mapping[str, Sequence[str]] | None = None, **kwargs: Any
    ) -> None:
        """Take the mapping that meta0 has, or the given one."""
        self.load_json(json_mapping, **kwargs)

    def _get_old_peers_by_base(self, base: str) -> list[str]:
        return [service_key(service) for service in self.raw_services_by_base.get(base, ())]

    def _get_peers_by_base(self, base: str) -> list[str]:
        return [service_key(service) for service in self.services_by_base[base]]

    def _get_service_type_by_base(self, base: str) -> str:
        return META1_TYPE

    def _apply_link_services(self, moved: Iterable[str] | None = None, **kwargs: Any) -> None:
        self.m0.force(self.to_json(moved), **kwargs)

    # -- plans

    def placement(self) -> Placement:
        """What is assigned now, for planning."""
        candidates = {
            key: Candidate(key, self.get_loc(service), self.get_score(service))
            for key, service in self.services.items()
        }
        peers = {base: tuple(map(service_key, services)) for base, services in self.services_by_base.items()}
        found = Placement(candidates, peers, self.replicas, self.min_dist, self.num_bases())
        for key, service in self.services.items():
            found.held[key] = set(service["bases"])
        return found

    def bootstrap(self, level: str = "volume", degradation: int = 0) -> None:
        """Assign all bases so that the loss of `degradation` places of this level costs none its majority.

        ValueError for a level other than site, rack, host or volume, and without any service;
        ConfigurationException for a service without a usable location; PreconditionFailed when there are not enough
        places.
        """
        places = {}
        for key, service in self.services.items():
            text = service.get("tags", {}).get("tag.loc")
            if not text:
                raise ConfigurationException(f"No location on {service}")
            found = locations.complete(text)
            if found is None:
                raise ConfigurationException(f"Malformed location for {service}")
            places[key] = found
        slices = bootstrapping.slices(places, level)
        try:
            bootstrapping.check_degradation(self.replicas, len(slices), degradation)
        except bootstrapping.Unsatisfiable as error:
            raise PreconditionFailed(str(error)) from error
        assigned = bootstrapping.assign(generate_short_prefixes(self.digits), slices, self.replicas)
        for base, keys in assigned.items():
            self.assign_services(base, [self.services[key] for key in keys], fail_if_already_set=True)

    def find_services_less_bases(
        self, known: list[Service] | None = None, min_score: int = 1, **_kwargs: Any
    ) -> list[Service]:
        """`known`, extended by the services with the fewest bases until there are enough; maybe fewer."""
        placement = self.placement()
        return self._extend(known, lambda keys: choice.fewest_bases(placement, keys, min_score))

    def find_services_more_availability(
        self, known: list[Service] | None = None, min_score: int = 1, **_kwargs: Any
    ) -> list[Service]:
        """`known`, extended by the services that are farthest below their `upper_limit`."""
        placement = self.placement()
        limits = {key: int(service["upper_limit"]) for key, service in self.services.items()}
        return self._extend(known, lambda keys: choice.most_room(placement, keys, limits, min_score))

    def _extend(
        self, known: list[Service] | None, choose: Callable[[list[str]], Sequence[str]]
    ) -> list[Service]:
        chosen = [] if known is None else known
        keys = [service_key(service) for service in chosen]
        chosen.extend(self.services[key] for key in choose(keys)[len(keys) :])
        return chosen

    def decommission(
        self,
        svc: str | Service,
        bases_to_remove: Iterable[str] | None = None,
        strategy: Strategy | None = None,
    ) -> set[str]:
        """Give these bases of a service, or all of them, to others; the bases that moved.

        `strategy(known=services that stay)` chooses; default: those farthest below their limit. KeyError for an unknown
        service or base; ValueError when there are fewer location groups than replicas without the service;
        PreconditionFailed when a base would lose a replica. Nothing is changed then.
        """
        service = self.services[svc if isinstance(svc, str) else service_key(svc)]
        key, score = service_key(service), service.get("score", 0)
        service["score"] = 0
        done: list[tuple[Move, list[Service]]] = []
        try:
            placement = self.placement()
            limits = self._set_limits(placement)
            bases = self._bases_of(service, bases_to_remove)
            choose = self._chooser(strategy, limits)
            for move in emptying.moves(placement, key, bases, choose):
                done.append((move, self.services_by_base[move.base]))
                self._take(move)
        except BaseException as error:
            for move, before in reversed(done):
                self.services[move.target]["bases"].discard(move.base)
                service["bases"].add(move.base)
                self.services_by_base[move.base] = before
            if isinstance(error, emptying.NoSuccessor):
                raise PreconditionFailed(str(error)) from error
            raise
        finally:
            service["score"] = score
        return {move.base for move, _ in done}

    def _bases_of(self, service: Service, wanted: Iterable[str] | None) -> list[str]:
        named = {base[: self.digits] for base in wanted or ()} or set(service["bases"])
        for base in sorted(named - service["bases"]):
            if base in self.services_by_base:
                self.logger.warning("Base %s is not managed by %s", base, service["addr"])
        return sorted(named)

    def _chooser(self, strategy: Strategy | None, limits: Mapping[str, int]) -> emptying.Choose:
        if strategy is None:
            return lambda placement, rest: choice.most_room(placement, rest, limits)
        if strategy == self.find_services_less_bases:
            return choice.fewest_bases
        return lambda _placement, rest: [
            service_key(one) for one in strategy(known=[self._service(key) for key in rest])
        ]

    def rebalance(self, max_loops: int = 65536) -> set[str] | None:
        """Even out what the services hold, at most one replica of each base; the bases that moved.

        None with a single base. `further_runs` says how many runs more would improve it. ValueError when there are
        fewer location groups than replicas.
        """
        if self.digits == 0:
            return None
        placement = self.placement()
        self._set_limits(placement)
        plan = levelling.plan(placement, max_loops)
        for move in plan.moves:
            self._take(move)
        self.further_runs = plan.further_runs
        if plan.further_runs:
            self.logger.info("%d further runs would even out more", plan.further_runs)
        return {move.base for move in plan.moves}

    def _set_limits(self, placement: Placement) -> dict[str, int]:
        limits = placement.upper_limits()
        for key, limit in limits.items():
            self.services[key]["upper_limit"] = limit
        return limits

    def _service(self, key: str) -> Service:
        return self.services.get(key) or {"addr": key, "tags": {}, "bases": set()}

    def _take(self, move: Move) -> None:
        """Let the live mapping follow a planned move."""
        held = {service_key(service): service for service in self.services_by_base[move.base]}
        held[move.source]["bases"].discard(move.base)
        target = self.services[move.target]
        target["bases"].add(move.base)
        self.services_by_base[move.base] = [
            held[key] if key in held and key != move.target else target for key in move.peers
        ]
