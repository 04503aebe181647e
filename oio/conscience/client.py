"""Clients of the conscience and of the load balancer."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from oio.common.client import ProxyClient
from oio.common.exceptions import OioException

SERVICE_ID_MAX_AGE: Final = 60.0
MAX_RESOLVED: Final = 65536
Service = dict[str, Any]
"""`{"addr", "score", "tags", "id"}`, with `ns` and `type` where they are not clear."""


class LbClient(ProxyClient):
    """Client of the load balancer: chooses services."""

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(conf, request_prefix="/lb", **kwargs)

    def next_instances(self, pool: str, size: int | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """`size` services of a type, chosen by score, as `{"addr", "id"}`. ServiceBusy when there are too few."""
        _, body = self._request("GET", "/choose", params={"type": pool, "size": size}, **kwargs)
        return list(body)

    def next_instance(self, pool: str, **kwargs: Any) -> dict[str, str]:
        """One service of a type. ServiceBusy when there is none."""
        return self.next_instances(pool, size=1, **kwargs)[0]

    def poll(
        self,
        pool: str,
        avoid: Iterable[str] | None = None,
        known: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> list[dict[str, str]]:
        """Services from a pool. Those `known` count as chosen, those to `avoid` are not taken; keys are `NS|type|id`.

        ServiceBusy (status 481) when there are too few, BadRequest for an unknown pool.
        """
        wanted: dict[str, list[str]] = {}
        if known:
            wanted["known"] = list(known)
        if avoid:
            wanted["avoid"] = list(avoid)
        _, body = self._request("POST", "/poll", params={"pool": pool}, data=json.dumps(wanted), **kwargs)
        return list(body)

    def create_pool(
        self,
        pool: str,
        targets: Iterable[Sequence[Any]],
        force: bool = False,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a pool in this proxy from targets `(count, slot, fallback slot…)`.

        Conflict when there is one of that name and not `force`.
        """
        text = ";".join(",".join(str(part) for part in target) for target in targets)
        data = json.dumps({"targets": text, "options": None if options is None else dict(options)})
        params = {"name": pool, "force": force}
        self._request("POST", "/create_pool", params=params, data=data, **kwargs)

    def reload(self, **kwargs: Any) -> None:
        """Let the load balancer look at the services anew."""
        self._request("POST", "/reload", **kwargs)


class ConscienceClient(ProxyClient):
    """Client of the conscience. Addresses of service ids are kept for `service_id_max_age` seconds."""

    def __init__(
        self, conf: Mapping[str, Any], service_id_max_age: float = SERVICE_ID_MAX_AGE, **kwargs: Any
    ) -> None:
        super().__init__(conf, request_prefix="/conscience", **kwargs)
        self._max_age = service_id_max_age
        self._resolved: dict[tuple[str, str], tuple[str, float]] = {}
        self._resolved_lock = threading.Lock()

    @functools.cached_property
    def lb(self) -> LbClient:
        """The load balancer of the same proxy."""
        return LbClient(self.conf, **self._sharing())

    @functools.cached_property
    def _local(self) -> ProxyClient:
        return ProxyClient(self.conf, request_prefix="/local", **self._sharing())

    def next_instances(self, pool: str, **kwargs: Any) -> list[dict[str, str]]:
        """As `LbClient.next_instances`."""
        return self.lb.next_instances(pool, **kwargs)

    def next_instance(self, pool: str, **kwargs: Any) -> dict[str, str]:
        """As `LbClient.next_instance`."""
        return self.lb.next_instance(pool, **kwargs)

    def poll(self, pool: str, **kwargs: Any) -> list[dict[str, str]]:
        """As `LbClient.poll`."""
        return self.lb.poll(pool, **kwargs)

    def info(self, **kwargs: Any) -> dict[str, Any]:
        """The description of the namespace."""
        return dict(self._request("GET", "/info", **kwargs)[1])

    def service_types(self, **kwargs: Any) -> list[str]:
        """Names of all service types."""
        return list(self._request("GET", "/info", params={"what": "types"}, **kwargs)[1])

    def all_services(self, type_: str, full: bool = False, **kwargs: Any) -> list[Service]:
        """Services of a type, with `full` also what they measure. `id` is the stable name, or the address.

        OioException for an answer that is no list; NotFound for an unknown type.
        """
        params = {"type": type_, "full": "1" if full else None}
        _, body = self._request("GET", "/list", params=params, **kwargs)
        if not isinstance(body, list):
            raise OioException(f"ERROR while getting list of {type_} services: {body!r}")
        for service in body:
            service["id"] = service.get("tags", {}).get("tag.service_id") or service["addr"]
        return body

    def local_services(self, **kwargs: Any) -> list[Service]:
        """Services that were registered through this proxy a short while ago."""
        return list(self._local._request("GET", "/list", **kwargs)[1])

    def get_service_definition(
        self,
        srv_type: str,
        srv_id: str,
        score: int | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Service:
        """The description of a service as `register` and `lock_score` take it."""
        found: Service = {"ns": self.ns, "type": srv_type, "addr": srv_id}
        if score is not None:
            found["score"] = score
        if tags is not None:
            found["tags"] = dict(tags)
        return found

    def register(self, services: Any, **kwargs: Any) -> None:
        """Tell of a service or a list of services that they are here."""
        self._tell("/register", services, **kwargs)

    def deregister(self, services: Any, **kwargs: Any) -> None:
        """Forget a service or a list of services; an unknown one is no error."""
        self._tell("/deregister", services, **kwargs)

    def lock_score(self, infos_srv: Any, **kwargs: Any) -> Any:
        """Hold the score of a service, or of a list of services, at `score` (0 when there is none)."""
        return self._tell("/lock", infos_srv, **kwargs)

    def unlock_score(self, infos_srv: Any, **kwargs: Any) -> None:
        """Let the score of a service, or of a list of services, be computed again."""
        self._tell("/unlock", infos_srv, **kwargs)

    def flush(self, srv_type: str, **kwargs: Any) -> None:
        """Forget all services of a type."""
        self._request("POST", "/flush", params={"type": srv_type}, **kwargs)

    def resolve(self, srv_type: str, service_id: str, **kwargs: Any) -> dict[str, str]:
        """`{"addr"}` of a service id. NotFound when there is none."""
        params = {"type": srv_type, "service_id": service_id}
        return dict(self._request("GET", "/resolve", params=params, **kwargs)[1])

    def resolve_service_id(self, service_type: str, service_id: str, **kwargs: Any) -> str:
        """The address of a service id, kept for a while."""
        key, now = (service_type, service_id), time.monotonic()
        with self._resolved_lock:
            address, since = self._resolved.get(key, ("", 0.0))
        if address and now - since < self._max_age:
            return address
        address = self.resolve(service_type, service_id, **kwargs)["addr"]
        with self._resolved_lock:
            self._resolved.pop(key, None)
            self._resolved[key] = (address, now)
            if len(self._resolved) > MAX_RESOLVED:
                self._resolved.pop(next(iter(self._resolved)))
        return address

    def resolve_url(self, service_type: str, url: str, **kwargs: Any) -> str:
        """The URL with the service id in the place of the host exchanged for its address."""
        parts = urlsplit(url)
        return urlunsplit(
            parts._replace(netloc=self.resolve_service_id(service_type, parts.netloc, **kwargs))
        )

    def _tell(self, url: str, services: Any, **kwargs: Any) -> Any:
        return self._request("POST", url, data=json.dumps(services), **kwargs)[1]
