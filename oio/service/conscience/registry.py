"""What the conscience knows of services: registration, scores, locks, expiry. Pure, given the time.

Several consciences exchange what they know. For this, three things are known of every service, each with the time at
which it was changed last: what it pushed, its lock, its removal. Of each the newest wins, wherever it comes from, so
that the order in which news arrive does not matter and hearing them twice changes nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oio.service import status
from oio.service.conscience.scoring import Expression
from oio.service.status import ServiceError

MAX_SERVICES: Final = 100_000
"""Services, and removed ones that are remembered."""
MAX_TAGS: Final = 64
REMOVED_FOR: Final = 86400 * 1_000_000
"""Microseconds for which a removal is remembered: another conscience that was away for less does not bring it back."""
_ORIGIN_BITS: Final = 10

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


class Stamps:
    """Times of changes: microseconds of the wall clock, but always later than any that was given or seen.

    A clock that is set back, or runs behind that of another conscience, therefore loses no change. The lowest bits tell
    the consciences apart.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._origin = secrets.randbits(_ORIGIN_BITS)
        self._last = 0

    def next(self) -> int:
        """A new one."""
        self._last = max(self._last + 1, self.now())
        return self._last << _ORIGIN_BITS | self._origin

    def now(self) -> int:
        """Microseconds of the wall clock."""
        return int(self._wall() * 1e6)

    def saw(self, stamp: int) -> None:
        """Note one that comes from elsewhere."""
        self._last = max(self._last, stamp >> _ORIGIN_BITS)


@dataclass(slots=True)
class Known:
    """One service. `earned` is the score that it has by what it pushed, `held` that of its lock; `pushed` is when this
    conscience, or another that told it, heard of it last (monotonic seconds)."""

    type: str
    addr: str
    earned: int = 0
    held: int = 0
    tags: dict[str, Any] = field(default_factory=dict)
    locked: bool = False
    pushed: float = 0.0
    tags_at: int = 0
    lock_at: int = 0
    removed_at: int = 0
    version: int = 0

    @property
    def name(self) -> str:
        """Its stable id, or its address."""
        return str(self.tags.get("tag.service_id") or self.addr)

    @property
    def score(self) -> int:
        """What the others see."""
        return self.held if self.locked else self.earned

    @property
    def here(self) -> bool:
        """Whether it was not removed, or came back since."""
        return max(self.tags_at, self.lock_at) > self.removed_at

    def document(self, full: bool) -> Document:
        """The service object as it stands on the wire; statistics only when `full`."""
        tags = {key: value for key, value in self.tags.items() if full or not key.startswith("stat.")}
        return {"addr": self.addr, "score": self.score, "tags": {**tags, "tag.lock": self.locked}}

    def state(self, now: float) -> Document:
        """Everything, for another conscience or a file."""
        return {
            "type": self.type,
            "addr": self.addr,
            "pushed": [self.tags_at, self.tags, self.earned],
            "lock": [self.lock_at, self.locked, self.held],
            "removed": self.removed_at,
            "age": max(0.0, now - self.pushed),
        }


class Registry:
    """All services of a namespace. Times are seconds of a clock that only goes forward."""

    def __init__(self, kinds: Mapping[str, Kind], stamps: Stamps | None = None) -> None:
        self.kinds = dict(kinds)
        self.version = 0
        self._stamps = stamps or Stamps()
        self._services: dict[tuple[str, str], Known] = {}
        self._notable: dict[tuple[str, str], Known] = {}

    def kind(self, name: str) -> Kind:
        """The type; ServiceError 453 when the namespace has none of that name."""
        kind = self.kinds.get(name)
        if kind is None:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"Service type [{name}] not managed")
        return kind

    def push(self, type_name: str, addr: str, tags: Mapping[str, Any], now: float) -> Known:
        """A service says that it is there. ServiceError 453; 509 when there are too many."""
        kind = self.kind(type_name)
        service = self._entry(type_name, addr)
        first = not service.here
        if first and kind.lock_first and tags.get("tag.first") is True:
            service.locked, service.held, service.lock_at = True, 0, self._stamps.next()
        before, was = _lasting(service.tags), service.name
        service.tags.update({k: v for k, v in tags.items() if k not in ("tag.lock", "tag.first")})
        service.tags.setdefault("tag.up", True)
        service.pushed, service.tags_at = now, self._stamps.next()
        if not service.locked:
            self._rescore(service, kind, first)
        self._changed(service, first or _lasting(service.tags) != before)
        if service.name not in (service.addr, was):
            # A stable id is at one address: that is where the service was before.
            for other in [one for one in self.of_type(type_name) if one.name == service.name]:
                if other is not service:
                    self._remove(other)
        return service

    def lock(self, type_name: str, name: str, score: int, now: float, create: bool = False) -> None:
        """Hold a service at a score; ServiceError 404 when it is unknown and not `create`."""
        self.kind(type_name)
        service = self.find(type_name, name)
        if service is None:
            if not create:
                raise ServiceError(status.NOT_FOUND, f"Service [{name}] not found")
            service = self._entry(type_name, name)
            service.pushed = now
        service.locked, service.held, service.lock_at = True, max(0, min(100, score)), self._stamps.next()
        self._changed(service, True)

    def unlock(self, type_name: str, name: str, now: float) -> None:
        """Let a service have the score that it earns; an unknown one is nothing to do for."""
        self.kind(type_name)
        service = self.find(type_name, name)
        if service is not None and service.locked:
            service.locked, service.lock_at = False, self._stamps.next()
            self._unlocked(service)
            self._changed(service, True)

    def deregister(self, type_name: str, name: str) -> None:
        """Forget a service; an unknown one is forgotten already."""
        self.kind(type_name)
        service = self.find(type_name, name)
        if service is not None:
            self._remove(service)

    def flush(self, type_name: str) -> None:
        """Forget all services of a type."""
        for service in self.of_type(type_name):
            self._remove(service)

    def find(self, type_name: str, name: str) -> Known | None:
        """A service by its address or its stable id."""
        direct = self._services.get((type_name, name))
        if direct is not None and direct.here:
            return direct
        return next((known for known in self.of_type(type_name) if known.name == name), None)

    def of_type(self, type_name: str) -> list[Known]:
        """Services of a type, by address; ServiceError 453."""
        self.kind(type_name)
        found = (s for s in self._services.values() if s.type == type_name and s.here)
        return sorted(found, key=lambda s: s.addr)

    def expire(self, now: float) -> None:
        """Services that have been silent for too long get score 0; locked ones keep theirs."""
        for service in self._services.values():
            if (
                not service.locked
                and service.here
                and now - service.pushed > self.kinds[service.type].timeout
            ):
                service.earned = 0
                service.tags["tag.up"] = False

    # -- what others are told

    def changes(self, since: int, now: float) -> list[Document]:
        """What has changed since the registry had that `version`; everything since 0."""
        return [known.state(now) for known in self._services.values() if known.version > since]

    def take_notable(self, now: float) -> list[Document]:
        """What has changed since this was called last and must not be lost: not that a service is still there."""
        found, self._notable = self._notable, {}
        return [known.state(now) for known in found.values()]

    def merge(self, documents: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take what another conscience, or a file, knows better. ServiceError 400 for what is no such knowledge."""
        for document in documents:
            try:
                if document["type"] in self.kinds:
                    self._merge(document, now)
            except (KeyError, TypeError, ValueError) as error:
                raise ServiceError(status.BAD_REQUEST, f"Invalid services: {error!r}") from error

    def restore(self, documents: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take services from a state file; the clock of expiry starts anew. ServiceError 400."""
        self.merge([{**document, "age": 0.0} for document in documents], now)
        self._notable.clear()

    def _merge(self, document: Mapping[str, Any], now: float) -> None:
        tags_at, tags, earned = document["pushed"]
        lock_at, locked, held = document["lock"]
        removed_at, heard = int(document["removed"]), now - float(document["age"])
        service = self._entry(document["type"], str(document["addr"]))
        for stamp in (tags_at, lock_at, removed_at):
            self._stamps.saw(stamp)
        before = (service.tags_at, service.lock_at, service.removed_at)
        if tags_at > service.tags_at:
            service.tags_at, service.tags, service.earned = int(tags_at), dict(tags), int(earned)
            service.pushed = heard
        elif tags_at == service.tags_at:
            # The same push, heard of on another way: it is as old as the older says.
            service.pushed = min(service.pushed, heard)
        if lock_at > service.lock_at:
            was, service.lock_at, service.locked = service.locked, int(lock_at), locked is True
            service.held = int(held) if service.locked else service.held
            if was and not service.locked:
                self._unlocked(service)
        service.removed_at = max(service.removed_at, removed_at)
        self._forget_what_was_removed(service)
        if (service.tags_at, service.lock_at, service.removed_at) != before:
            self._changed(service, before[1:] != (service.lock_at, service.removed_at) or not before[0])

    def _entry(self, type_name: str, addr: str) -> Known:
        service = self._services.get((type_name, addr))
        if service is None:
            if len(self._services) >= MAX_SERVICES:
                self.forget_removals(self._stamps.now() - REMOVED_FOR)
            if len(self._services) >= MAX_SERVICES:
                raise ServiceError(status.BUSY, f"more than {MAX_SERVICES} services")
            service = self._services[(type_name, addr)] = Known(type_name, addr)
        return service

    def forget_removals(self, before: int) -> None:
        """Forget services that were removed before that time (microseconds of the wall clock)."""
        for key, service in list(self._services.items()):
            if not service.here and service.removed_at >> _ORIGIN_BITS < before:
                del self._services[key]

    def _remove(self, service: Known) -> None:
        service.removed_at = self._stamps.next()
        self._forget_what_was_removed(service)
        self._changed(service, True)

    @staticmethod
    def _forget_what_was_removed(service: Known) -> None:
        if service.tags_at <= service.removed_at:
            service.tags, service.earned = {}, 0
        if service.lock_at <= service.removed_at:
            service.locked = False

    def _unlocked(self, service: Known) -> None:
        service.earned = service.held
        self._rescore(service, self.kinds[service.type], first=True)

    def _changed(self, service: Known, notable: bool) -> None:
        self.version = service.version = self.version + 1
        if notable:
            self._notable[(service.type, service.addr)] = service

    @staticmethod
    def _rescore(service: Known, kind: Kind, first: bool) -> None:
        if service.tags.get("tag.up") is False:
            service.earned = 0
            return
        wanted = kind.expression.score(service.tags)
        if wanted is None:
            return
        service.earned = wanted if first else min(wanted, service.earned + kind.variation)


def _lasting(tags: Mapping[str, Any]) -> Document:
    """Tags that do not change by themselves."""
    return {key: value for key, value in tags.items() if not key.startswith("stat.")}
