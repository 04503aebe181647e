"""Deployment files: what a person writes, YAML or JSON, checked for form.  Pure.

::

    name: pair
    nodes:                      # labels → node numbers, or `any`
      left: 1
      right: 2
    networks:
      lan: { range: 10.20.0.0/16 }
    workloads:
      - { name: data, type: zmount, node: left, size: 1 GiB }
      - { name: front, type: publicip, node: left }
      - name: vm1
        type: zmachine
        node: left
        image: http://10.99.0.254:8080/demo.tar.gz
        memory: 512 MiB
        network: lan
        publicip: front
        mounts: { data: /data }
      - { name: vm2, type: zmachine, node: right, image: …, memory: 512 MiB, network: lan }

A network lies on every node that has a machine in it.  Sizes are bytes or texts like `512 MiB`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from client.errors import InvalidFile

MAX_BYTES = 1 << 20
UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_size(value: Any) -> int:
    """Bytes of a number or of a text like `1.5 GiB`.  Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(str(value))
    factor = UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{value!r} is not a size: write bytes, or a number with KiB, MiB, GiB or TiB")
    return int(float(match[1]) * factor)


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=0, lt=2**63),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([KMGTkmgt][Ii])?[Bb]?\s*$"},
            ],
            "description": "Bytes, or a number with KiB, MiB, GiB or TiB.",
        }
    ),
]
NodeChoice = int | Literal["any"]
WorkloadName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,36}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkPart(_Part):
    """A network of the user; each node gets a /24 of `range`."""

    range: IPv4Network = IPv4Network("10.20.0.0/16")
    description: str = ""

    @model_validator(mode="after")
    def _size(self) -> NetworkPart:
        if not 8 <= self.range.prefixlen <= 20:
            raise ValueError(f"range {self.range}: give a prefix from /8 to /20, best a /16")
        return self


class WorkloadPart(_Part):
    name: WorkloadName
    node: str | int = ""
    """Label or number; may be left out when the file has one node."""
    description: str = ""
    metadata: str = ""


class DiskPart(WorkloadPart):
    type: Literal["zmount"]
    size: Size


class PublicIpPart(WorkloadPart):
    type: Literal["publicip", "ip"]
    v4: bool = True
    v6: bool = False


class MachinePart(WorkloadPart):
    type: Literal["zmachine"]
    image: str
    network: str
    ip: IPv4Address | None = None
    cpu: int = Field(default=1, ge=1, le=255)
    memory: Size
    size: Size = 0
    publicip: str = ""
    planetary: bool = False
    mounts: dict[str, str] = Field(default_factory=dict)
    entrypoint: str = ""
    env: dict[str, str] = Field(default_factory=dict)


AnyWorkload = Annotated[DiskPart | PublicIpPart | MachinePart, Field(discriminator="type")]


class DeploymentFile(_Part):
    """A whole file.  References are checked here; what only the grid knows is not."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: str = ""
    nodes: dict[str, NodeChoice] = Field(default_factory=dict)
    networks: dict[WorkloadName, NetworkPart] = Field(default_factory=dict)
    workloads: list[AnyWorkload] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _references(self) -> DeploymentFile:
        seen: set[str] = set(self.networks)
        for workload in self.workloads:
            if workload.name in seen:
                raise ValueError(f"two things are named {workload.name!r}: names are unique in a file")
            seen.add(workload.name)
            self.label_of(workload)
        by_name = {workload.name: workload for workload in self.workloads}
        used: dict[str, str] = {}
        for machine in self.machines:
            if machine.network not in self.networks:
                raise ValueError(_unknown(f"network of {machine.name}", machine.network, self.networks))
            for disk in machine.mounts:
                self._same_node(machine, disk, by_name, DiskPart, "zmount", used)
            if machine.publicip:
                self._same_node(machine, machine.publicip, by_name, PublicIpPart, "publicip", used)
        return self

    def _same_node(
        self,
        machine: MachinePart,
        name: str,
        by_name: dict[str, Any],
        kind: type[WorkloadPart],
        what: str,
        used: dict[str, str],
    ) -> None:
        found = by_name.get(name)
        if not isinstance(found, kind):
            names = [each.name for each in self.workloads if isinstance(each, kind)]
            raise ValueError(_unknown(f"{what} of {machine.name}", name, names))
        if self.label_of(found) != self.label_of(machine):
            raise ValueError(f"{what} {name!r} is on another node than {machine.name!r}, which uses it")
        if name in used:
            raise ValueError(f"{what} {name!r} is used by {used[name]!r} and by {machine.name!r}")
        used[name] = machine.name

    def on_any_node(self) -> DeploymentFile:
        """The same with every choice of a node left to the client."""
        return self.model_copy(update={"nodes": dict.fromkeys(self.labels, "any")})

    @property
    def machines(self) -> list[MachinePart]:
        return [workload for workload in self.workloads if isinstance(workload, MachinePart)]

    @property
    def labels(self) -> dict[str, NodeChoice]:
        """Every node that is used, in order of first use: label → number or `any`."""
        found: dict[str, NodeChoice] = {}
        for workload in self.workloads:
            label = self.label_of(workload)
            found.setdefault(label, self.nodes.get(label) or int(label))
        return found

    def label_of(self, workload: WorkloadPart) -> str:
        """Label of the node that a workload is on.  Raises ValueError."""
        wanted = str(workload.node)
        if not wanted:
            if len(self.nodes) == 1:
                return next(iter(self.nodes))
            raise ValueError(f"node of {workload.name!r} is missing: the file names {len(self.nodes)} nodes")
        if wanted in self.nodes or wanted.isdigit():
            return wanted
        raise ValueError(_unknown(f"node of {workload.name}", wanted, self.nodes))


def load(path: Path) -> DeploymentFile:
    """Read a file.  Raises InvalidFile."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidFile(f"{path} is larger than 1 MiB, the most that a node takes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidFile(f"cannot read {path}: {problem}") from problem
    return parse(text, str(path))


def parse(text: str, place: str = "deployment") -> DeploymentFile:
    """Read YAML or JSON text.  Raises InvalidFile."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise InvalidFile(f"{place} is neither YAML nor JSON: {problem}") from problem
    if not isinstance(raw, dict):
        raise InvalidFile(f"{place} holds {type(raw).__name__}: it has to be a table with name and workloads")
    try:
        return DeploymentFile.model_validate(raw)
    except ValidationError as problem:
        raise InvalidFile("; ".join(_explain(place, each) for each in problem.errors()[:10])) from problem


def _explain(place: str, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(error["input"], dict | list) else f" (is {error['input']!r})"
    return f"{place}{': ' + where if where else ''}: {message}{shown}"


def _unknown(what: str, name: str, known: Any) -> str:
    names = ", ".join(sorted(str(each) for each in known)) or "none"
    return f"{what}: there is no {name!r} in this file; there are: {names}"
