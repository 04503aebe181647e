"""Call a node's commands.  Named as the Go client names them, in snake case."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

import rmb
from gridtypes import ContractId, Deployment, TwinId, Workload

T = TypeVar("T")

DEFAULT_TIMEOUT = 30.0
"""Seconds."""


class Bus(Protocol):
    """What a `rmb.Client` offers here."""

    async def call(self, twin: TwinId, command: str, payload: Any = None, timeout: float = 30.0) -> Any: ...


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


class NodeClient:
    """The node whose twin is `twin`, over the bus.

    Every call raises what `rmb.Client.call` raises: a refusal of the node is `rmb.RemoteError` with its text, an answer
    of another shape than the command has is `rmb.InvalidAnswer`.
    """

    def __init__(self, twin: TwinId | int, bus: Bus) -> None:
        self.twin = TwinId(twin)
        self._bus = bus

    # -- deployments ------------------------------------------------------------------------------------------

    async def deployment_deploy(self, deployment: Deployment, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Returns when the node has accepted and stored it; results are in `deployment_changes`."""
        await self._call("deployment.deploy", deployment.to_json(), timeout)

    async def deployment_update(self, deployment: Deployment, timeout: float = DEFAULT_TIMEOUT) -> None:
        """The next version; its hash has to be in the contract already."""
        await self._call("deployment.update", deployment.to_json(), timeout)

    async def deployment_get(
        self, contract: ContractId | int, timeout: float = DEFAULT_TIMEOUT
    ) -> Deployment:
        """The deployment with the latest result of each active workload."""
        return await self._ask(_deployment, "deployment.get", timeout, {"contract_id": contract})

    async def deployment_list(self, timeout: float = DEFAULT_TIMEOUT) -> list[Deployment]:
        """The caller's own active deployments on the node."""
        return await self._ask(_each(_deployment), "deployment.list", timeout)

    async def deployment_changes(
        self, contract: ContractId | int, timeout: float = DEFAULT_TIMEOUT
    ) -> list[Workload]:
        """Every result that any workload of the deployment ever had, oldest first."""
        return await self._ask(_each(_workload), "deployment.changes", timeout, {"contract_id": contract})

    async def deployment_delete(self, contract: ContractId | int, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Always refused by nodes: a deployment ends with its contract."""
        await self._call("deployment.delete", {"contract_id": contract}, timeout)

    # -- capacity ---------------------------------------------------------------------------------------------

    async def counters(self, timeout: float = DEFAULT_TIMEOUT) -> Counters:
        """Capacity and use (`zos.statistics.get`)."""
        return await self._ask(Counters.model_validate, "statistics.get", timeout)

    async def pools(self, timeout: float = DEFAULT_TIMEOUT) -> list[Pool]:
        """The node's disks, SSDs first."""
        return await self._ask(_each(Pool.model_validate), "storage.pools", timeout)

    async def disks_left_alone(self, timeout: float = DEFAULT_TIMEOUT) -> list[DiskLeftAlone]:
        """Disks that are no pool, each with the reason, for instance that they carry data.

        Only our own node knows this command.
        """
        return await self._ask(_each(DiskLeftAlone.model_validate), "storage.left_alone", timeout)

    # -- network ----------------------------------------------------------------------------------------------

    async def network_list_wg_ports(self, timeout: float = DEFAULT_TIMEOUT) -> list[int]:
        """UDP ports that are taken."""
        return await self._ask(_numbers, "network.list_wg_ports", timeout)

    async def network_list_interfaces(self, timeout: float = DEFAULT_TIMEOUT) -> Interfaces:
        """Addresses of the node itself."""
        return await self._ask(Interfaces.model_validate, "network.interfaces", timeout)

    async def network_get_public_config(self, timeout: float = DEFAULT_TIMEOUT) -> NodePublicConfig:
        """Raises rmb.RemoteError on a node without public configuration."""
        return await self._ask(NodePublicConfig.model_validate, "network.public_config_get", timeout)

    async def has_public_ipv6(self, timeout: float = DEFAULT_TIMEOUT) -> bool:
        return await self._ask(_flag, "network.has_ipv6", timeout)

    async def network_list_public_ips(self, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Public addresses in use on the node, everybody's, in CIDR form."""
        return await self._ask(_texts, "network.list_public_ips", timeout)

    async def network_list_private_ips(self, network: str, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Addresses in use in the caller's network of that name."""
        return await self._ask(_texts, "network.list_private_ips", timeout, {"network_name": network})

    # -- system -----------------------------------------------------------------------------------------------

    async def system_version(self, timeout: float = DEFAULT_TIMEOUT) -> Version:
        return await self._ask(Version.model_validate, "system.version", timeout)

    async def system_hypervisor(self, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Empty on bare metal."""
        return await self._ask(_text, "system.hypervisor", timeout)

    async def system_get_node_features(self, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Workload types and abilities of the node."""
        return await self._ask(_texts, "system.node_features_get", timeout)

    # -- calling ----------------------------------------------------------------------------------------------

    async def _call(self, command: str, payload: Any, timeout: float) -> Any:
        return await self._bus.call(self.twin, f"zos.{command}", payload, timeout)

    async def _ask(self, read: Callable[[Any], T], command: str, timeout: float, payload: Any = None) -> T:
        answer = await self._call(command, payload, timeout)
        try:
            return read(answer)
        except ValueError as problem:
            raise rmb.InvalidAnswer(
                f"zos.{command} on twin {self.twin}: the answer has another shape: {_line(problem)}"
            ) from problem


# None stands for an empty list or text: that is how nodes in Go answer.
_number_list = TypeAdapter(list[int])
_text_list = TypeAdapter(list[str])
_any_list = TypeAdapter(list[Any])
_one_text = TypeAdapter(str)
_one_flag = TypeAdapter(bool)


def _numbers(answer: Any) -> list[int]:
    return _number_list.validate_python(answer or [])


def _texts(answer: Any) -> list[str]:
    return _text_list.validate_python(answer or [])


def _text(answer: Any) -> str:
    return _one_text.validate_python(answer or "")


def _flag(answer: Any) -> bool:
    return _one_flag.validate_python(answer or False)


def _each(read: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    return lambda answer: [read(one) for one in _any_list.validate_python(answer or [])]


def _deployment(answer: Any) -> Deployment:
    return Deployment.from_json(_plain_json(answer))


def _workload(answer: Any) -> Workload:
    return Workload.from_json(_plain_json(answer))


def _plain_json(answer: Any) -> str:
    return json.dumps(answer, separators=(",", ":"))


def _line(problem: ValueError) -> str:
    """The first lines of a long explanation, as one."""
    return " ".join(str(problem).split())[:200]
