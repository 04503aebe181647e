"""A conscience that lists given services, for tests of what is only computed."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from oio.common.exceptions import OioException
from oio.conscience.client import ConscienceClient
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from tests.shared import vectors

CONF = {"namespace": "OPENIO", "proxyd_url": "127.0.0.1:1"}


class Listed(ConscienceClient):
    """Knows these services and asks nobody."""

    def __init__(self, services: Iterable[dict[str, Any]]) -> None:
        super().__init__(CONF)
        self.services = copy.deepcopy(list(services))

    def all_services(self, type_: str, full: bool = False, **kwargs: Any) -> list[dict[str, Any]]:
        assert type_ == "meta1"
        return self.services


class Kept(Meta0Client):
    """A meta0 that is a dictionary."""

    def __init__(self) -> None:
        super().__init__(CONF)
        self.mapping: dict[str, list[str]] = {}

    def list(self, **kwargs: Any) -> dict[str, list[str]]:
        return self.mapping

    def force(self, mapping: Any, **kwargs: Any) -> None:
        raise OioException("not in this test")


def mapping_of(services: Iterable[dict[str, Any]], **kwargs: Any) -> Meta0PrefixMapping:
    return Meta0PrefixMapping(Kept(), conscience_client=Listed(services), **kwargs)


@functools.cache
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = vectors("directory")
    return found


def section(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recorded()["sections"][name]["cases"]
    return copy.deepcopy(found)


def service_set(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recorded()["service_sets"][name]
    return copy.deepcopy(found)


def by_base(mapping: Meta0PrefixMapping) -> dict[str, list[str]]:
    return {
        base: sorted(service["addr"] for service in services)
        for base, services in mapping.services_by_base.items()
    }


def histogram(mapping: Meta0PrefixMapping) -> dict[str, int]:
    return dict(Counter(str(len(services)) for services in mapping.services_by_base.values()))


def violations(mapping: Meta0PrefixMapping) -> int:
    """Bases with two services closer to each other than wanted."""
    found = 0
    for services in mapping.services_by_base.values():
        places = [mapping.get_loc(service) for service in services]
        found += any(
            mapping.dist_between(one, other) < mapping.min_dist
            for number, one in enumerate(places)
            for other in places[:number]
        )
    return found
