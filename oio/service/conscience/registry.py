"""What the conscience knows of services: registration, scores, locks, expiry. Pure, given the time.

Two modification times go with every service, one for its tags and one for its lock, so that several consciences can
exchange what they know: the newer one wins, each for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oio.service import status
from oio.service.conscience.scoring import Expression
from oio.service.status import ServiceError

MAX_SERVICES: Final = 100_000
MAX_TAGS: Final = 64

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A service type: how its score is computed, after how many seconds of silence it falls to 0, and how fast it may
    rise at one push."""

    name: str
    expression: Expression
    timeout: float = 300.0
    variation: int = 5
    lock_first: bool = True


@dataclass(slots=True)
class Known:
    """One service."""

    type: str
    addr: str
    score: int = 0
    tags: dict[str, Any] = field(default_factory=dict)
    locked: bool = False
    pushed: float = 0.0
    lock_changed: float = 0.0

    @property
    def name(self) -> str:
        """Its stable id, or its address."""
        return str(self.tags.get("tag.service_id") or self.addr)

    def document(self, full: bool) -> Document:
        """The service object as it stands on the wire; statistics only when `full`."""
        tags = {key: value for key, value in self.tags.items() if full or not key.startswith("stat.")}
        return {"addr": self.addr, "score": self.score, "tags": {**tags, "tag.lock": self.locked}}


class Registry:
    """All services of a namespace. Times are seconds of a clock that only goes forward."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = dict(kinds)
        self._services: dict[tuple[str, str], Known] = {}

    def kind(self, name: str) -> Kind:
        """The type; ServiceError 453 when the namespace has none of that name."""
        kind = self.kinds.get(name)
        if kind is None:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"Service type [{name}] not managed")
        return kind

    def push(self, type_name: str, addr: str, tags: Mapping[str, Any], now: float) -> Known:
        """A service says that it is there. ServiceError 453; 509 when there are too many."""
        kind = self.kind(type_name)
        service = self._services.get((type_name, addr))
        first = service is None
        if service is None:
            if len(self._services) >= MAX_SERVICES:
                raise ServiceError(status.BUSY, f"more than {MAX_SERVICES} services")
            service = self._services[(type_name, addr)] = Known(type_name, addr)
            if kind.lock_first and tags.get("tag.first") is True:
                service.locked, service.lock_changed = True, now
        service.tags.update({k: v for k, v in tags.items() if k not in ("tag.lock", "tag.first")})
        service.tags.setdefault("tag.up", True)
        service.pushed = now
        if not service.locked:
            self._rescore(service, kind, first)
        return service

    def lock(self, type_name: str, name: str, score: int, now: float, create: bool = False) -> None:
        """Hold a service at a score; ServiceError 404 when it is unknown and not `create`."""
        self.kind(type_name)
        service = self.find(type_name, name)
        if service is None:
            if not create:
                raise ServiceError(status.NOT_FOUND, f"Service [{name}] not found")
            service = self._services[(type_name, name)] = Known(type_name, name, pushed=now)
        service.locked, service.lock_changed, service.score = True, now, max(0, min(100, score))

    def unlock(self, type_name: str, name: str, now: float) -> None:
        """Let a service have the score that it earns; an unknown one is nothing to do for."""
        kind = self.kind(type_name)
        service = self.find(type_name, name)
        if service is not None and service.locked:
            service.locked, service.lock_changed = False, now
            self._rescore(service, kind, first=True)

    def deregister(self, type_name: str, name: str) -> None:
        """Forget a service; an unknown one is forgotten already."""
        self.kind(type_name)
        service = self.find(type_name, name)
        if service is not None:
            del self._services[(type_name, service.addr)]

    def flush(self, type_name: str) -> None:
        """Forget all services of a type."""
        self.kind(type_name)
        for service in self.of_type(type_name):
            del self._services[(type_name, service.addr)]

    def find(self, type_name: str, name: str) -> Known | None:
        """A service by its address or its stable id."""
        direct = self._services.get((type_name, name))
        if direct is not None:
            return direct
        return next((known for known in self.of_type(type_name) if known.name == name), None)

    def of_type(self, type_name: str) -> list[Known]:
        """Services of a type, by address; ServiceError 453."""
        self.kind(type_name)
        return sorted((s for s in self._services.values() if s.type == type_name), key=lambda s: s.addr)

    def expire(self, now: float) -> None:
        """Services that have been silent for too long get score 0; locked ones keep theirs."""
        for service in self._services.values():
            if not service.locked and now - service.pushed > self.kinds[service.type].timeout:
                service.score = 0
                service.tags["tag.up"] = False

    def state(self) -> list[Document]:
        """Everything, for the state file."""
        return [{**known.document(full=True), "type": known.type} for known in self._services.values()]

    def restore(self, documents: list[Document], now: float) -> None:
        """Take services from a state file; the clock of expiry starts anew."""
        for document in documents:
            type_name, tags = str(document["type"]), dict(document["tags"])
            if type_name in self.kinds:
                locked = tags.pop("tag.lock", False) is True
                known = Known(
                    type_name, str(document["addr"]), int(document["score"]), tags, locked, now, now
                )
                self._services[(type_name, known.addr)] = known

    @staticmethod
    def _rescore(service: Known, kind: Kind, first: bool) -> None:
        if service.tags.get("tag.up") is False:
            service.score = 0
            return
        wanted = kind.expression.score(service.tags)
        if wanted is None:
            return
        service.score = wanted if first else min(wanted, service.score + kind.variation)
