"""The agent's YAML files: one for the agent, one for each service, as OpenIO SDS writes them. Pure, given the texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oio.naming import is_address

MAX_FILE: Final = 1 << 20
"""Largest file in bytes."""


class BadConfiguration(ValueError):
    """A file cannot be used; the text names the file, the key and what is wrong."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Model = TypeVar("Model", bound=_Model)


class Check(_Model):
    """One check: `tcp` connects, `http` wants a 2xx from `uri`, `asn1` asks a meta service whether it is there."""

    type: Literal["tcp", "http", "asn1"]
    uri: str = "/"
    timeout: float = Field(default=2.0, gt=0, le=60)


class Statistic(_Model):
    """Numbers for the score: `system` gives `stat.cpu`, `volume` gives `stat.space` and `stat.io`, in percent free."""

    type: Literal["system", "volume", "http"]
    path: str = ""
    uri: str = "/info"


class Watched(_Model):
    """A service of this machine and how it is watched."""

    host: str
    port: int = Field(ge=1, le=65535)
    type: str = Field(min_length=1, max_length=64)
    location: str = ""
    slots: tuple[str, ...] = ()
    service_id: str = ""
    checks: tuple[Check, ...] = ()
    stats: tuple[Statistic, ...] = ()
    rise: int | None = Field(None, ge=1, le=1000)
    fall: int | None = Field(None, ge=1, le=1000)

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def tags(self) -> dict[str, Any]:
        """The tags that never change."""
        found: dict[str, Any] = {"tag.slots": ",".join(self.slots) or self.type}
        if self.location:
            found["tag.loc"] = self.location
        if self.service_id:
            found["tag.service_id"] = self.service_id
        return found


class Agent(_Model):
    """The agent itself. `check_interval` is in seconds; `proxy` replaces that of the namespace file."""

    namespace: str = Field(min_length=1, max_length=64)
    check_interval: float = Field(1.0, gt=0, le=3600)
    rise: int = Field(1, ge=1, le=1000)
    fall: int = Field(1, ge=1, le=1000)
    deregister_on_exit: bool = False
    include_dir: str = ""
    proxy: str = ""


def parse_agent(name: str, text: str) -> Agent:
    """The agent's own file; BadConfiguration."""
    return _parse(Agent, name, text)


def parse_service(name: str, text: str) -> Watched:
    """A service's file; BadConfiguration."""
    watched = _parse(Watched, name, text)
    if not is_address(watched.address):
        raise BadConfiguration(f"{name}: host {watched.host!r}: an IP address is expected")
    return watched


def without_conflicts(services: Mapping[str, Watched]) -> tuple[list[Watched], list[str]]:
    """Services by file name -> those that can be watched, and an error for every address that two files name."""
    files: dict[str, list[str]] = {}
    for name, watched in sorted(services.items()):
        files.setdefault(watched.address, []).append(name)
    errors = [
        f"{address} is named by {' and '.join(names)}; none of them is watched"
        for address, names in files.items()
        if len(names) > 1
    ]
    return [services[names[0]] for names in files.values() if len(names) == 1], errors


def _parse(kind: type[Model], name: str, text: str) -> Model:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{name}: no YAML: {error}") from error
    if not isinstance(document, dict):
        raise BadConfiguration(f"{name}: a mapping of keys is expected")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise BadConfiguration(f"{name}: {where}: {wrong['msg']}") from error
