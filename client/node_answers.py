"""What a node's commands answer, typed.

Missing keys are what an older node leaves out; unknown ones are what a newer one adds.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class _Answer(BaseModel):
    """Base of answers: frozen, and unknown keys of newer nodes are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Amounts(_Answer):
    """Capacity: processors, bytes of SSD, HDD and memory, number of public IPv4 addresses."""

    cru: int = 0
    sru: int = 0
    hru: int = 0
    mru: int = 0
    ipv4u: int = 0


class Users(_Answer):
    deployments: int = 0
    workloads: int = 0
    last_deployment_timestamp: int = 0


class Counters(_Answer):
    """`zos.statistics.get`: what the node has, what is taken (with the system's own share), and by how many."""

    total: Amounts = Amounts()
    used: Amounts = Amounts()
    system: Amounts = Amounts()
    users: Users = Users()
    open_connections: int = 0

    @property
    def free(self) -> Amounts:
        """What is left; never below zero.  Processors may be promised more than once and are shown whole."""
        return Amounts(
            cru=self.total.cru,
            sru=max(0, self.total.sru - self.used.sru),
            hru=max(0, self.total.hru - self.used.hru),
            mru=max(0, self.total.mru - self.used.mru),
        )


class Pool(_Answer):
    """A disk of the node: `type` is `ssd` or `hdd`, sizes in bytes."""

    name: str
    type: str
    size: int
    used: int


class DiskLeftAlone(_Answer):
    """A disk that the node was told to use and does not."""

    path: str
    reason: str


class Version(_Answer):
    zos: str = ""
    zinit: str = ""


class NodePublicConfig(_Answer):
    """Addresses are in CIDR form; absent ones are empty."""

    type: str = ""
    ipv4: str = ""
    gw4: str = ""
    ipv6: str = ""
    gw6: str = ""
    domain: str = ""


class Interfaces(BaseModel):
    """Addresses without prefix, by interface."""

    model_config = ConfigDict(frozen=True, extra="allow")

    zos: list[str] = Field(default_factory=list)
    ygg: list[str] = Field(default_factory=list)


def _none_is_empty(value: Any) -> Any:
    """Nodes in Go answer `null` for an empty list."""
    return [] if value is None else value


class Gpu(_Answer):
    """A graphics card; `contract` is 0 while it is free, `vram` the MiB of its largest memory window."""

    id: str
    vendor: str = "unknown"
    device: str = "unknown"
    vram: int = 0
    contract: int = 0


class ExitDevice(_Answer):
    """What carries the node's public addresses: the LAN's NIC (single) or one of its own (dual)."""

    is_single: bool = False
    is_dual: bool = False
    dual_interface: str = ""


class NodeInterface(_Answer):
    """One NIC of the node; addresses in CIDR form."""

    ips: Annotated[list[str], BeforeValidator(_none_is_empty)] = Field(default_factory=list)
    mac: str = ""


class DmiProperty(_Answer):
    value: str = ""
    items: list[str] = Field(default_factory=list)


class DmiSubsection(_Answer):
    title: str = ""
    properties: dict[str, DmiProperty] = Field(default_factory=dict)


class DmiSection(_Answer):
    handleline: str = ""
    typestr: str = ""
    typenum: int = 0
    subsections: Annotated[list[DmiSubsection], BeforeValidator(_none_is_empty)] = Field(default_factory=list)


class DmiTooling(_Answer):
    aggregator: str = ""
    decoder: str = ""


class Dmi(_Answer):
    """The firmware's tables."""

    tooling: DmiTooling = DmiTooling()
    sections: Annotated[list[DmiSection], BeforeValidator(_none_is_empty)] = Field(default_factory=list)


class Module(_Answer):
    """A part of the node; `error_text` says what is wrong with it."""

    status: dict[str, Any] = Field(default_factory=dict)
    error_text: str = ""


class Diagnostics(_Answer):
    system_status_ok: bool = False
    healthy: bool = False
    modules: dict[str, Module] = Field(default_factory=dict)


class TaskResult(_Answer):
    """A measurement of the node; `timestamp` in Unix seconds, `result` of the task's own shape."""

    name: str
    description: str = ""
    timestamp: int = 0
    result: Any = None


class NodeLocation(_Answer):
    """Degrees and names."""

    longitude: float = 0.0
    latitude: float = 0.0
    continent: str = "Unknown"
    country_name: str = "Unknown"
    country_code: str = ""
    city_name: str = "Unknown"


class DoctorFinding(_Answer):
    """One line of a node's own report on its health."""

    subject: str
    ok: bool
    text: str = ""
    remedy: str = ""
    since: float = 0.0
    """Unix seconds; 0 while it is well."""


class DebugWorkload(_Answer):
    type: str
    name: str
    state: str = ""


class DebugDeployment(_Answer):
    twin_id: int
    contract_id: int
    workloads: Annotated[list[DebugWorkload], BeforeValidator(_none_is_empty)] = Field(default_factory=list)


class DebugTransaction(_Answer):
    seq: int
    type: str
    name: str
    created: int = 0
    state: str = ""
    message: str = ""


class DebugInfo(_Answer):
    workload_id: str = ""
    type: str = ""
    name: str = ""
    info: Any = None
    logs: str = ""


class DebugCheck(_Answer):
    name: str
    ok: bool
    message: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)


class DebugHealth(_Answer):
    """Of one workload, or of the system (`workload_id` is `system`)."""

    workload_id: str
    type: str = ""
    name: str = ""
    status: str = ""
    checks: Annotated[list[DebugCheck], BeforeValidator(_none_is_empty)] = Field(default_factory=list)
