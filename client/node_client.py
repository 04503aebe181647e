"""Call a node's commands.  Named as the Go client names them, in snake case."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

import rmb
from client.node_answers import (
    Counters,
    DebugDeployment,
    DebugHealth,
    DebugInfo,
    DebugTransaction,
    Diagnostics,
    DiskLeftAlone,
    Dmi,
    DoctorFinding,
    ExitDevice,
    Gpu,
    Interfaces,
    NodeInterface,
    NodeLocation,
    NodePublicConfig,
    Pool,
    TaskResult,
    Version,
)
from gridtypes import ContractId, Deployment, TwinId, Workload

T = TypeVar("T")

DEFAULT_TIMEOUT = 30.0
"""Seconds."""


class Bus(Protocol):
    """What a `rmb.Client` offers here."""

    async def call(self, twin: TwinId, command: str, payload: Any = None, timeout: float = 30.0) -> Any: ...


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

    async def gpus(self, timeout: float = DEFAULT_TIMEOUT) -> list[Gpu]:
        """The node's graphics cards, and which contract has which."""
        return await self._ask(_each(Gpu.model_validate), "gpu.list", timeout)

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

    # -- for the farmer ---------------------------------------------------------------------------------------

    async def network_list_all_interfaces(self, timeout: float = DEFAULT_TIMEOUT) -> dict[str, NodeInterface]:
        """The node's NICs and its LAN bridge."""
        return await self._ask(_table(NodeInterface.model_validate), "admin.interfaces", timeout)

    async def network_get_public_exit_device(self, timeout: float = DEFAULT_TIMEOUT) -> ExitDevice:
        """What carries public addresses."""
        return await self._ask(ExitDevice.model_validate, "admin.get_public_nic", timeout)

    async def network_set_public_exit_device(self, interface: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Let a NIC carry them, `zos` for the LAN's; until the node's next start."""
        await self._call("admin.set_public_nic", interface, timeout)

    async def doctor(self, timeout: float = DEFAULT_TIMEOUT) -> list[DoctorFinding]:
        """The node's report on its own health.  Only our own node knows this command."""
        return await self._ask(_each(DoctorFinding.model_validate), "admin.doctor", timeout)

    # -- system -----------------------------------------------------------------------------------------------

    async def system_version(self, timeout: float = DEFAULT_TIMEOUT) -> Version:
        return await self._ask(Version.model_validate, "system.version", timeout)

    async def system_hypervisor(self, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Empty on bare metal."""
        return await self._ask(_text, "system.hypervisor", timeout)

    async def system_get_node_features(self, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Workload types and abilities of the node."""
        return await self._ask(_texts, "system.node_features_get", timeout)

    async def system_dmi(self, timeout: float = DEFAULT_TIMEOUT) -> Dmi:
        return await self._ask(Dmi.model_validate, "system.dmi", timeout)

    async def system_diagnostics(self, timeout: float = DEFAULT_TIMEOUT) -> Diagnostics:
        """Which parts of the node answer, and whether its last health check found nothing."""
        return await self._ask(Diagnostics.model_validate, "system.diagnostics", timeout)

    async def location(self, timeout: float = DEFAULT_TIMEOUT) -> NodeLocation:
        return await self._ask(NodeLocation.model_validate, "location.get", timeout)

    async def perf_test(self, name: str, timeout: float = DEFAULT_TIMEOUT) -> TaskResult:
        """The newest result of one measurement.  Raises rmb.RemoteError when there is none."""
        return await self._ask(TaskResult.model_validate, "perf.get", timeout, {"name": name})

    async def perf_tests(self, timeout: float = DEFAULT_TIMEOUT) -> list[TaskResult]:
        return await self._ask(_each(TaskResult.model_validate), "perf.get_all", timeout)

    # -- for administrators -----------------------------------------------------------------------------------

    async def debug_list(
        self, twin: TwinId | int = 0, timeout: float = DEFAULT_TIMEOUT
    ) -> list[DebugDeployment]:
        """Active deployments of a twin, 0 for everybody's."""
        read = _inside("deployments", _each(DebugDeployment.model_validate))
        return await self._ask(read, "debug.deployment.list", timeout, {"twin_id": twin})

    async def debug_get(self, deployment: str, timeout: float = DEFAULT_TIMEOUT) -> dict[str, Any]:
        """A deployment `<twin>:<contract>` as JSON; our own node hides the secrets in it."""
        read = _inside("deployment", _json_object.validate_python)
        return await self._ask(read, "debug.deployment.get", timeout, {"deployment": deployment})

    async def debug_history(
        self, deployment: str, timeout: float = DEFAULT_TIMEOUT
    ) -> list[DebugTransaction]:
        read = _inside("history", _each(DebugTransaction.model_validate))
        return await self._ask(read, "debug.deployment.history", timeout, {"deployment": deployment})

    async def debug_info(
        self, deployment: str, workload: str, verbose: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> DebugInfo:
        """A machine or network of a deployment; `verbose` gives the whole console log."""
        payload = {"deployment": deployment, "workload": workload, "verbose": verbose}
        return await self._ask(DebugInfo.model_validate, "debug.deployment.info", timeout, payload)

    async def debug_health(
        self, deployment: str = "", probe: str = "", timeout: float = DEFAULT_TIMEOUT
    ) -> list[DebugHealth]:
        """Checks of a deployment's machines and networks, and of the system by one of the node's named probes."""
        payload: dict[str, Any] = {"deployment": deployment}
        if probe:
            payload["options"] = {"system_probe": probe}
        read = _inside("workloads", _each(DebugHealth.model_validate))
        return await self._ask(read, "debug.deployment.health", timeout, payload)

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
_json_object = TypeAdapter(dict[str, Any])


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


def _table(read: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    return lambda answer: {
        name: read(one) for name, one in _json_object.validate_python(answer or {}).items()
    }


def _inside(name: str, read: Callable[[Any], T]) -> Callable[[Any], T]:
    """Reads one field of the answer."""
    return lambda answer: read(_json_object.validate_python(answer or {}).get(name))


def _deployment(answer: Any) -> Deployment:
    return Deployment.from_json(_plain_json(answer))


def _workload(answer: Any) -> Workload:
    return Workload.from_json(_plain_json(answer))


def _plain_json(answer: Any) -> str:
    return json.dumps(answer, separators=(",", ":"))


def _line(problem: ValueError) -> str:
    """The first lines of a long explanation, as one."""
    return " ".join(str(problem).split())[:200]
