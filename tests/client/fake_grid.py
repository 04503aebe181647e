"""A grid in memory: a chain that keeps contracts, nodes that answer over a bus, and a log of what was done."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rmb
from gridtypes import (
    GIB,
    ContractId,
    Deployment,
    FarmId,
    NodeId,
    Result,
    ResultState,
    TwinId,
    Workload,
)
from tfchain.keys import Identity
from tfchain.models import Contract, ContractState, Location, Node, NodeContract, Resources

USER = TwinId(7)
FEATURES = ["zmachine", "zmount", "network", "ip", "volume"]


def node_of(number: int) -> Node:
    """Node `number` of the fake grid; its twin is 100 more."""
    return Node(
        id=NodeId(number),
        farm_id=FarmId(1),
        twin_id=TwinId(100 + number),
        resources=Resources(hru=0, sru=240 * GIB, cru=4, mru=16 * GIB),
        location=Location("Ghent", "Belgium", "Unknown", "Unknown"),
        public_config=None,
        created=1,
        farming_policy_id=1,
        interfaces=(),
        certification="Diy",
        secure_boot=False,
        virtualized=False,
        serial_number=None,
        connection_price=80,
    )


class FakeChain:
    """Keeps contracts.  `fails` maps the name of a call to what it raises, by node or contract number."""

    def __init__(self, nodes: int, log: list[str]) -> None:
        self.log = log
        self.known = {number: node_of(number) for number in range(1, nodes + 1)}
        self.held: dict[ContractId, Contract] = {}
        self.fails: dict[tuple[str, int], BaseException] = {}
        self.units = 10_000_000
        self.next = 10
        self.closed = False

    async def nodes(self, farm: FarmId | None = None) -> list[Node]:
        return list(self.known.values())

    async def node(self, number: NodeId) -> Node | None:
        return self.known.get(number)

    async def node_contracts(self, node: NodeId) -> list[ContractId]:
        return [number for number, one in self.held.items() if one.node_contract.node_id == node]

    async def contracts(self, ids: list[ContractId]) -> dict[ContractId, Contract]:
        return {number: self.held[number] for number in ids if number in self.held}

    async def contract(self, number: ContractId) -> Contract | None:
        return self.held.get(number)

    async def contract_by_node_and_hash(self, node: NodeId, digest: str) -> ContractId | None:
        for number, one in self.held.items():
            if (one.node_contract.node_id, one.node_contract.deployment_hash) == (node, digest):
                return number
        return None

    async def balance(self, public_key: bytes) -> int:
        return self.units

    async def create_node_contract(
        self, key: Identity, node: NodeId, digest: str, data: bytes, public_ips: int = 0
    ) -> ContractId:
        problem = self.fails.get(("create", node))
        if problem is not None and not isinstance(problem, LostAnswer):
            raise problem
        self.next += 1
        number = ContractId(self.next)
        content = NodeContract(node, digest, data, public_ips, ())
        self.held[number] = Contract(number, USER, ContractState.CREATED, content)
        self.log.append(f"create {number} on {node}")
        if isinstance(problem, LostAnswer):
            raise problem.error
        return number

    async def update_node_contract(self, key: Identity, number: ContractId, digest: str, data: bytes) -> None:
        self._maybe("update", number)
        content = replace(self.held[number].node_contract, deployment_hash=digest, deployment_data=data)
        self.held[number] = replace(self.held[number], content=content)
        self.log.append(f"update {number}")

    async def cancel_contract(self, key: Identity, number: ContractId) -> None:
        self._maybe("cancel", number)
        del self.held[number]
        self.log.append(f"cancel {number}")

    async def close(self) -> None:
        self.closed = True

    def _maybe(self, call: str, number: int) -> None:
        if (call, number) in self.fails:
            raise self.fails[call, number]


class LostAnswer(Exception):
    """For `fails`: the contract is made, and `error` raised all the same."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class FakeNode:
    """A node that has every result at once.  `fails` maps workload names to the message of their error."""

    def __init__(self, chain: FakeChain, number: int, log: list[str]) -> None:
        self.chain = chain
        self.number = number
        self.log = log
        self.deployments: dict[int, Deployment] = {}
        self.history: dict[int, list[Workload]] = {}
        self.fails: dict[str, str] = {}
        self.unchanged: dict[str, str] = {}
        """Workloads whose update is refused, with the message."""
        self.refuses = ""
        self.is_silent = False
        self.is_stuck = False
        """Accepts updates and never gets to them."""
        self.features: Any = FEATURES
        self.ports: Any = [4000]
        self.free = 200 * GIB

    def answer(self, command: str, payload: Any) -> Any:
        if self.is_silent:
            raise rmb.CallTimeout(f"{command}: no answer within 10 s")
        handler: Callable[[Any], Any] = getattr(self, command.removeprefix("zos.").replace(".", "_"))
        return handler(json.loads(payload) if isinstance(payload, bytes) else payload)

    def deployment_deploy(self, body: Any) -> None:
        deployment = Deployment.from_json(json.dumps(body))
        self._accept(deployment)
        self.log.append(f"deploy {deployment.contract_id} on {self.number}")
        number = deployment.contract_id
        self.history[number] = []
        self.deployments[number] = self._with_results(deployment, {})

    def deployment_update(self, body: Any) -> None:
        deployment = Deployment.from_json(json.dumps(body))
        number = deployment.contract_id
        before = self.deployments[number]
        if deployment.version != before.version + 1:
            raise rmb.RemoteError(
                f"expecting deployment version {before.version + 1}, got {deployment.version}"
            )
        self._accept(deployment)
        self.log.append(f"update {number} on {self.number}")
        old = {one.name: one for one in before.workloads}
        self.deployments[number] = self._with_results(deployment, old)

    def deployment_get(self, body: Any) -> Any:
        return json.loads(self._known(body).to_json())

    def deployment_list(self, body: Any) -> Any:
        return [json.loads(one.to_json()) for one in self.deployments.values()]

    def deployment_changes(self, body: Any) -> Any:
        self._known(body)
        return [json.loads(one.to_json()) for one in self.history[body["contract_id"]]]

    def statistics_get(self, body: Any) -> Any:
        total = {"cru": 4, "sru": self.free, "hru": 0, "mru": 16 * GIB, "ipv4u": 0}
        return {"total": total, "used": {}, "system": {}, "users": {}, "open_connections": 1, "later": True}

    def network_list_wg_ports(self, body: Any) -> Any:
        return self.ports

    def network_public_config_get(self, body: Any) -> Any:
        raise rmb.RemoteError("no public configuration")

    def network_interfaces(self, body: Any) -> Any:
        return {"zos": ["fe80::1", f"10.99.1.{self.number}"], "ygg": []}

    def system_version(self, body: Any) -> Any:
        return {"zos": "1.0", "zinit": "0.2"}

    def system_node_features_get(self, body: Any) -> Any:
        return self.features

    def _accept(self, deployment: Deployment) -> None:
        if self.refuses:
            raise rmb.RemoteError(self.refuses)
        contract = self.chain.held.get(deployment.contract_id)
        digest = deployment.challenge_hash().hex()
        if contract is None or contract.node_contract.deployment_hash != digest:
            raise rmb.RemoteError("contract hash does not match deployment hash")
        assert deployment.signature_requirement.signature_of(USER) is not None

    def _with_results(self, deployment: Deployment, old: dict[Any, Workload]) -> Deployment:
        shown = []
        for one in deployment.workloads:
            before = old.get(one.name)
            if before is not None and (self.is_stuck or one.version < deployment.version):
                shown.append(before)
            elif before is not None and one.name in self.unchanged and one.data != before.data:
                state = Result(1, ResultState.UNCHANGED, self.unchanged[one.name], b"null")
                self.history[deployment.contract_id].append(one.with_result(state))
                shown.append(before)
            else:
                failed = self.fails.get(str(one.name))
                state = ResultState.ERROR if failed else ResultState.OK
                shown.append(one.with_result(Result(1, state, failed or "", b"null")))
                self.history[deployment.contract_id].append(shown[-1])
        return replace(deployment, workloads=shown)

    def _known(self, body: Any) -> Deployment:
        found = self.deployments.get(body["contract_id"])
        if found is None or body["contract_id"] not in self.chain.held:
            raise rmb.RemoteError("deployment not found")
        return found


class FakeGrid:
    """Chain, nodes and bus; the object itself is the bus."""

    def __init__(self, nodes: int = 2) -> None:
        self.log: list[str] = []
        self.calls: list[tuple[int, str, Any, float]] = []
        self.chain = FakeChain(nodes, self.log)
        self.nodes = {number: FakeNode(self.chain, number, self.log) for number in self.chain.known}
        self.closed = False

    async def call(self, twin: TwinId, command: str, payload: Any = None, timeout: float = 30.0) -> Any:
        self.calls.append((twin, command, payload, timeout))
        return self.nodes[twin - 100].answer(command, payload)

    async def close(self) -> None:
        self.closed = True
