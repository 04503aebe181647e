"""Give every volume an rdir service, on another machine than the volume's own where there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oio.common.exceptions import NotFound, ServiceUnavailable
from oio.conscience.client import ConscienceClient
from oio.directory import locations
from oio.directory.client import DirectoryClient
from oio.rdir.client import RDIR_ACCT, RdirClient


@dataclass(frozen=True, slots=True)
class Assignment:
    """The rdir services of a volume, and what is to be said about them."""

    volume: str
    rdirs: tuple[str, ...]
    note: str = ""


def _location(service: Mapping[str, Any]) -> str:
    return str(service.get("tags", {}).get("tag.loc") or service["addr"].rsplit(":", 1)[0])


def choose(
    volume: Mapping[str, Any], rdirs: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> str | None:
    """The rdir service with the fewest volumes among those on other hosts, or among all when there is no other host.

    None when there is none.
    """
    here = _location(volume)

    def other_host(service: Mapping[str, Any]) -> bool:
        return locations.distance(here, _location(service)) > 1

    candidates = [service for service in rdirs if service.get("score", 0) > 0]
    best = min(
        candidates, key=lambda one: (not other_host(one), counts.get(one["id"], 0), one["id"]), default=None
    )
    return None if best is None else str(best["id"])


def linked(directory: DirectoryClient, volume: str) -> tuple[str, ...]:
    """The rdir services of a volume."""
    try:
        found = directory.list(RDIR_ACCT, volume, service_type="rdir")
    except NotFound:
        return ()
    return tuple(one["host"] for one in found["srv"] if one["type"] == "rdir")


def assign(
    conscience: ConscienceClient,
    directory: DirectoryClient,
    rdir: RdirClient,
    service_type: str,
    replace: bool = False,
) -> list[Assignment]:
    """Link an rdir service to every volume that has none, with `replace` also where the one it has is down.

    ServiceUnavailable when no rdir service is up.
    """
    rdirs = conscience.all_services("rdir")
    up = {service["id"] for service in rdirs if service.get("score", 0) > 0}
    volumes = sorted(conscience.all_services(service_type), key=lambda service: service["id"])
    before = {volume["id"]: linked(directory, volume["id"]) for volume in volumes}
    counts = Counter(one for found in before.values() for one in found)
    rows = []
    for volume in volumes:
        name = volume["id"]
        had = before[name]
        if had and not (replace and not up.intersection(had)):
            rdir.meta2_index_create(name)
            rows.append(Assignment(name, had))
            continue
        chosen = choose(volume, rdirs, counts)
        if chosen is None:
            raise ServiceUnavailable("no rdir service is up: `openio cluster list rdir` shows them")
        counts[chosen] += 1
        directory.create(RDIR_ACCT, name)
        link = {"seq": 1, "type": "rdir", "host": chosen, "args": ""}
        directory.force(RDIR_ACCT, name, "rdir", link, replace=bool(had))
        rdir.forget(name)
        rdir.meta2_index_create(name)
        rows.append(Assignment(name, (chosen,), f"instead of {' '.join(had)}" if had else "new"))
    return rows


def check_assignment(
    conscience: ConscienceClient, directory: DirectoryClient, service_type: str
) -> list[Assignment]:
    """The rdir services of every volume; a note where none is up."""
    up = {service["id"] for service in conscience.all_services("rdir") if service.get("score", 0) > 0}
    rows = []
    for volume in sorted(service["id"] for service in conscience.all_services(service_type)):
        found = linked(directory, volume)
        note = "" if up.intersection(found) else ("down" if found else "none")
        rows.append(Assignment(volume, found, note))
    return rows
