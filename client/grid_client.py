"""Use a grid: deploy files, follow results, change and cancel, and undo what a failure left half done."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import aiohttp

import rmb
from client import checks, planning
from client.deployment_file import DeploymentFile
from client.errors import CheckFailed, ClientError, DeployFailed, NotFound
from client.node_client import Bus, NodeClient
from client.planning import NodeFacts, Plan
from client.wireguard_key import WireGuardKey
from gridtypes import ContractId, Deployment, NodeId, ResultState, TwinId, Workload
from tfchain import Chain
from tfchain.keys import Identity
from tfchain.models import Contract, ContractState, Node, NodeContract

T = TypeVar("T")

REACH_TIMEOUT_S = 10.0
"""A node that does not answer within this is not deployed to; nothing is paid then (case B023)."""
CALL_TIMEOUT_S = 60.0
FOLLOW_TIMEOUT_S = 600.0
POLL_FIRST_S, POLL_MAX_S = 0.2, 2.0
PARALLEL = 16
NODE_UP_S = 2 * 60 * 60

FINAL = (ResultState.OK, ResultState.ERROR, ResultState.DELETED, ResultState.UNCHANGED, ResultState.PAUSED)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on the way, for a live view: `kind` says what, the rest about whom."""

    kind: str
    node: int = 0
    contract: int = 0
    workload: str = ""
    state: str = ""
    message: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A deployment on a node, as the node shows it."""

    node: NodeId
    contract: ContractId
    name: str
    state: str
    """Of the contract."""
    deployment: Deployment | None
    """None when the node does not know it or does not answer; then `problem` says why."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """A node for a list."""

    node: Node
    is_up: bool
    """Answers over the bus."""
    version: str = ""
    features: tuple[str, ...] = ()


Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Report to nobody."""


class ClosableBus(Bus, Protocol):
    async def close(self) -> None: ...


class GridClient:
    """A user's view of a grid: his twin and key, the chain, and the bus."""

    def __init__(self, chain: Chain, bus: ClosableBus, twin: TwinId | int, key: Identity) -> None:
        self.chain = chain
        self.bus = bus
        self.twin = TwinId(twin)
        self.key = key

    async def close(self) -> None:
        await self.bus.close()
        await self.chain.close()

    async def __aenter__(self) -> GridClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- nodes ------------------------------------------------------------------------------------------------

    async def node(self, node: int) -> NodeClient:
        """A client of the node with this number.  Raises NotFound."""
        found = await self.chain.node(NodeId(node))
        if found is None:
            raise NotFound(f"there is no node {node} on this chain; `zos nodes` lists them")
        return NodeClient(found.twin_id, self.bus)

    async def nodes(self) -> list[NodeSummary]:
        """All nodes, and which of them answer now."""

        async def look(node: Node) -> NodeSummary:
            client = NodeClient(node.twin_id, self.bus)
            try:
                version = await client.system_version(timeout=REACH_TIMEOUT_S)
                features = await client.system_get_node_features(timeout=REACH_TIMEOUT_S)
            except rmb.RmbError:
                return NodeSummary(node, is_up=False)
            return NodeSummary(node, is_up=True, version=version.zos, features=tuple(features))

        return await _bounded([look(node) for node in await self.chain.nodes()])

    # -- what the user has ------------------------------------------------------------------------------------

    async def contracts(self) -> list[Contract]:
        """The user's living node contracts, by number.  The chain is asked, no notes are kept (case B090)."""
        found: list[Contract] = []
        for node in await self.chain.nodes():
            for number in await self.chain.node_contracts(node.id):
                contract = await self.chain.contract(number)
                if contract is not None and contract.twin_id == self.twin:
                    found.append(contract)
        return sorted(found, key=lambda contract: contract.contract_id)

    async def ls(self) -> list[Placed]:
        """All deployments of the user."""
        return await _bounded([self._place(contract) for contract in await self.contracts()])

    async def find(self, wanted: str | int) -> list[Placed]:
        """Deployments by name or contract number.  Raises NotFound, which names what there is."""
        contracts = await self.contracts()
        hits = [
            contract
            for contract in contracts
            if str(contract.contract_id) == str(wanted) or _name_of(contract) == str(wanted)
        ]
        if not hits:
            names = sorted({_name_of(contract) or str(contract.contract_id) for contract in contracts})
            raise NotFound(f"no deployment {str(wanted)!r}; there are: {', '.join(names) or 'none'}")
        return await _bounded([self._place(contract) for contract in hits])

    async def changes(self, wanted: str | int) -> list[tuple[Placed, Workload]]:
        """Every result of every workload, oldest first.  Raises NotFound, rmb.RmbError."""
        found: list[tuple[Placed, Workload]] = []
        for placed in await self.find(wanted):
            node = await self.node(placed.node)
            found += [(placed, workload) for workload in await node.deployment_changes(placed.contract)]
        return found

    async def _place(self, contract: Contract) -> Placed:
        content = contract.content
        assert isinstance(content, NodeContract)
        deployment, problem = None, ""
        try:
            deployment = await (await self.node(content.node_id)).deployment_get(
                contract.contract_id, timeout=REACH_TIMEOUT_S
            )
        except (rmb.RmbError, ClientError, ValueError) as error:
            problem = str(error)
        return Placed(
            content.node_id,
            contract.contract_id,
            _name_of(contract),
            contract.state.value,
            deployment,
            problem,
        )

    # -- deploy -----------------------------------------------------------------------------------------------

    async def plan(self, file: DeploymentFile, existing: Sequence[Placed] = ()) -> Plan:
        """What the file comes to on this grid, after every check that can be made beforehand (decision 53).

        Raises CheckFailed.  Nothing is signed or paid.
        """
        facts = await self._facts(file, existing)
        plan = planning.make_plan(
            file,
            twin=self.twin,
            nodes=facts,
            user_keys=self._user_keys(file),
            existing={placed.node: placed.deployment for placed in existing if placed.deployment},
        )
        fresh = {node: one for node, one in plan.deployments.items() if not one.contract_id}
        problems = checks.image_form_problems(plan.deployments)
        for deployment in plan.deployments.values():
            problems += checks.mount_problems(deployment)
        twins = {one.node: one.twin for one in facts.values()}
        for node, deployment in fresh.items():
            problems += await self._node_problems(node, twins[node], deployment)
        if fresh and await self.chain.balance(self.key.public_key) < checks.MIN_BALANCE:
            problems.append(f"account {self.key.address} has too little money for a contract: fund it first")
        problems += await _unreachable_images(checks.public_image_urls(fresh))
        if problems:
            raise CheckFailed(problems)
        return plan

    async def deploy(
        self, file: DeploymentFile, report: Report = ignore, *, timeout: float = FOLLOW_TIMEOUT_S
    ) -> list[Placed]:
        """Deploy a file: check, make contracts, sign, send, follow until everything runs.

        Raises CheckFailed before anything was made, DeployFailed after everything that was made was undone.
        """
        if any(_name_of(contract) == file.name for contract in await self.contracts()):
            raise CheckFailed([f"a deployment {file.name!r} exists already: `zos update` changes it"])
        plan = await self.plan(file)
        made: list[tuple[int, ContractId]] = []
        try:
            for node, deployment in plan.deployments.items():
                made.append((node, await self._create(plan, node, deployment, report)))
            for node, contract in made:
                await self._send(node, replace(plan.deployments[node], contract_id=contract), report)
            await self.follow(made, report, timeout=timeout)
        except (Exception, asyncio.CancelledError) as problem:
            undone, left = await asyncio.shield(self._undo(made, report))
            if isinstance(problem, asyncio.CancelledError):
                raise
            raise DeployFailed(_reason(problem), undone, left) from problem
        return await self.find(file.name)

    async def update(
        self, file: DeploymentFile, report: Report = ignore, *, timeout: float = FOLLOW_TIMEOUT_S
    ) -> list[Placed]:
        """Bring an existing deployment to what the file says; nodes may come and go.

        Raises NotFound, CheckFailed, and DeployFailed after what was made was undone and what was changed put back.
        """
        existing = await self.find(file.name)
        if missing := [placed for placed in existing if placed.deployment is None]:
            raise CheckFailed([f"node {one.node}, contract {one.contract}: {one.problem}" for one in missing])
        before = {int(placed.node): placed for placed in existing}
        plan = await self.plan(file, existing)
        made: list[tuple[int, ContractId]] = []
        changed: list[Placed] = []
        try:
            for node, deployment in plan.deployments.items():
                if node not in before:
                    contract = await self._create(plan, node, deployment, report)
                    made.append((node, contract))
                    await self._send(node, replace(deployment, contract_id=contract), report)
            for node, placed in before.items():
                wanted = plan.deployments.get(node)
                if wanted is not None and placed.deployment and wanted.version != placed.deployment.version:
                    changed.append(placed)
                    await self._change(node, wanted, plan.contract_data, report)
            versions = {placed.contract: plan.deployments[placed.node].version for placed in changed}
            await self.follow(
                [*made, *((placed.node, placed.contract) for placed in changed)],
                report,
                timeout=timeout,
                versions=versions,
            )
        except (Exception, asyncio.CancelledError) as problem:
            undone, left = await asyncio.shield(self._put_back(changed, plan, report))
            more_undone, more_left = await asyncio.shield(self._undo(made, report))
            if isinstance(problem, asyncio.CancelledError):
                raise
            raise DeployFailed(_reason(problem), undone + more_undone, left + more_left) from problem
        for node, placed in before.items():
            if node not in plan.deployments:
                await self.chain.cancel_contract(self.key, placed.contract)
                report(Event("cancelled", node, placed.contract))
        return await self.find(file.name)

    async def cancel(self, wanted: str | int, report: Report = ignore) -> list[ContractId]:
        """Cancel the contracts of a deployment; its nodes remove everything.  Raises NotFound."""
        contracts = [
            contract
            for contract in await self.contracts()
            if str(contract.contract_id) == str(wanted) or _name_of(contract) == str(wanted)
        ]
        if not contracts:
            await self.find(wanted)  # raises with what there is
        for contract in reversed(contracts):
            await self.chain.cancel_contract(self.key, contract.contract_id)
            report(Event("cancelled", contract=contract.contract_id))
        return [contract.contract_id for contract in contracts]

    async def follow(
        self,
        placed: Sequence[tuple[int, ContractId]],
        report: Report = ignore,
        *,
        timeout: float = FOLLOW_TIMEOUT_S,
        versions: dict[ContractId, int] | None = None,
    ) -> None:
        """Wait until every workload has a result (of its new version, where `versions` names one).

        Raises ClientError naming the workloads that failed, or what is still waited for when time is over.
        """
        deadline = time.monotonic() + timeout
        async with asyncio.TaskGroup() as group:
            for node, contract in placed:
                wanted = (versions or {}).get(contract)
                group.create_task(self._follow_one(node, contract, wanted, report, deadline))

    async def watch(self, node: int, contract: ContractId) -> AsyncGenerator[Workload, None]:
        """Every change of a deployment as it comes."""
        client, seen, pause = await self.node(node), 0, POLL_FIRST_S
        while True:
            found = await client.deployment_changes(contract, timeout=CALL_TIMEOUT_S)
            for workload in found[seen:]:
                pause = POLL_FIRST_S
                yield workload
            seen = len(found)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_MAX_S)

    # -- steps ------------------------------------------------------------------------------------------------

    async def _create(self, plan: Plan, node: int, deployment: Deployment, report: Report) -> ContractId:
        digest = deployment.challenge_hash().hex()
        contract = await self.chain.create_node_contract(
            self.key, NodeId(node), digest, plan.contract_data, planning.public_ips(deployment)
        )
        report(Event("contract", node, contract, hash=digest))
        return contract

    async def _send(self, node: int, deployment: Deployment, report: Report) -> None:
        signed = deployment.sign(self.twin, self.key)
        await (await self.node(node)).deployment_deploy(signed, timeout=CALL_TIMEOUT_S)
        report(Event("accepted", node, deployment.contract_id))

    async def _change(self, node: int, wanted: Deployment, data: bytes, report: Report) -> None:
        digest = wanted.challenge_hash().hex()
        await self.chain.update_node_contract(self.key, wanted.contract_id, digest, data)
        report(Event("contract", node, wanted.contract_id, hash=digest))
        signed = wanted.sign(self.twin, self.key)
        await (await self.node(node)).deployment_update(signed, timeout=CALL_TIMEOUT_S)
        report(Event("accepted", node, wanted.contract_id))

    async def _follow_one(
        self, node: int, contract: ContractId, version: int | None, report: Report, deadline: float
    ) -> None:
        latest: dict[str, Workload] = {}
        stream = self.watch(node, contract)
        try:
            while True:
                left = deadline - time.monotonic()
                try:
                    workload = await asyncio.wait_for(anext(stream), max(left, 0.001))
                except TimeoutError:
                    raise ClientError(_still(node, contract, latest)) from None
                latest[workload.name] = workload
                result = workload.result
                report(
                    Event(
                        "workload",
                        node,
                        contract,
                        workload.name,
                        result.state.value or "init",
                        result.message,
                    )
                )
                if await self._settled(node, contract, version):
                    return
        finally:
            await stream.aclose()

    async def _settled(self, node: int, contract: ContractId, version: int | None) -> bool:
        """Whether all workloads have an end result.  Raises ClientError when one failed."""
        deployment = await (await self.node(node)).deployment_get(contract, timeout=CALL_TIMEOUT_S)
        failed = [one for one in deployment.workloads if one.result.state is ResultState.ERROR]
        if failed:
            raise ClientError(
                "; ".join(f"{one.name} on node {node}: {one.result.message or 'failed'}" for one in failed)
            )
        if version is not None and deployment.version < version:
            return False
        return all(one.result.state in FINAL for one in deployment.workloads)

    async def _undo(
        self, made: Sequence[tuple[int, ContractId]], report: Report
    ) -> tuple[list[str], list[str]]:
        """Cancel contracts in reverse; returns what was undone, and commands for what could not be."""
        undone, left = [], []
        for node, contract in reversed(made):
            try:
                await self.chain.cancel_contract(self.key, contract)
            except Exception as problem:
                left.append(f"contract {contract} ({problem}): `zos cancel {contract}`")
            else:
                undone.append(f"contract {contract} on node {node}")
                report(Event("cancelled", node, contract))
        return undone, left

    async def _put_back(
        self, changed: Sequence[Placed], plan: Plan, report: Report
    ) -> tuple[list[str], list[str]]:
        """Bring changed deployments back to what they were, as a version of its own where the new one was taken."""
        undone, left = [], []
        for placed in reversed(changed):
            assert placed.deployment is not None
            try:
                now = await (await self.node(placed.node)).deployment_get(placed.contract)
                if (
                    now.version == placed.deployment.version
                ):  # the new version was refused: only the hash was changed
                    old = placed.deployment
                    await self.chain.update_node_contract(
                        self.key, placed.contract, old.challenge_hash().hex(), plan.contract_data
                    )
                else:
                    old = planning.next_version(now, replace(placed.deployment, contract_id=placed.contract))
                    await self._change(placed.node, old, plan.contract_data, report)
            except Exception as problem:
                left.append(f"contract {placed.contract} ({problem}): `zos update` with the former file")
            else:
                undone.append(f"contract {placed.contract} put back")
        return undone, left

    # -- facts ------------------------------------------------------------------------------------------------

    async def _facts(self, file: DeploymentFile, existing: Sequence[Placed]) -> dict[str, NodeFacts]:
        """Ask every node of the file.  Raises CheckFailed naming those that do not answer."""
        chosen = await self._choose(file, existing)
        found: dict[str, NodeFacts] = {}
        problems: list[str] = []

        async def ask(label: str, node: Node) -> None:
            client = NodeClient(node.twin_id, self.bus)
            try:
                ports = await client.network_list_wg_ports(timeout=REACH_TIMEOUT_S)
                host = await host_of(client)
            except rmb.RmbError as problem:
                problems.append(
                    f"node {node.id} (twin {node.twin_id}) does not answer over the bus: {problem}"
                )
                return
            found[label] = NodeFacts(node.id, node.twin_id, host, tuple(ports))

        await _bounded([ask(label, node) for label, node in chosen.items()])
        if problems:
            raise CheckFailed(sorted(problems))
        return {label: found[label] for label in chosen}

    async def _choose(self, file: DeploymentFile, existing: Sequence[Placed]) -> dict[str, Node]:
        nodes = {int(node.id): node for node in await self.chain.nodes()}
        fixed = {label: number for label, number in file.labels.items() if number != "any"}
        problems = [f"there is no node {n} on this chain" for n in fixed.values() if int(n) not in nodes]
        if len(set(fixed.values())) != len(fixed):
            problems.append("two labels name the same node: use one label for both")
        if problems:
            raise CheckFailed(problems)
        free = [placed.node for placed in existing if placed.node not in fixed.values()]
        if any(number == "any" for number in file.labels.values()):
            up = [summary.node.id for summary in await self.nodes() if summary.is_up]
            secrets.SystemRandom().shuffle(up)
            free += [node for node in up if node not in fixed.values() and node not in free]
        chosen: dict[str, Node] = {}
        for label, number in file.labels.items():
            if number == "any":
                if not free:
                    raise CheckFailed([f"no node is left for {label!r}: {len(nodes)} nodes are known"])
                chosen[label] = nodes[free.pop(0)]
            else:
                chosen[label] = nodes[int(number)]
        return chosen

    async def _node_problems(self, node: int, twin: TwinId, deployment: Deployment) -> list[str]:
        client = NodeClient(twin, self.bus)
        try:
            counters = await client.counters(timeout=REACH_TIMEOUT_S)
            features = await client.system_get_node_features(timeout=REACH_TIMEOUT_S)
        except rmb.RmbError as problem:
            return [f"node {node} (twin {twin}) does not answer over the bus: {problem}"]
        return checks.capacity_problems(node, deployment, counters) + checks.feature_problems(
            node, deployment, features
        )

    def _user_keys(self, file: DeploymentFile) -> dict[str, WireGuardKey]:
        if self.key.type != "ed25519":
            return {}
        return {name: WireGuardKey.of_user(self.key, name) for name in file.networks}


async def host_of(client: NodeClient) -> str:
    """Where other nodes reach a node: its public address, else its address on the farm's LAN."""
    try:
        public = await client.network_get_public_config(timeout=REACH_TIMEOUT_S)
        if public.ipv4:
            return public.ipv4.partition("/")[0]
    except rmb.RemoteError:
        pass  # most nodes have none
    addresses = (await client.network_list_interfaces(timeout=REACH_TIMEOUT_S)).zos
    return next((address for address in addresses if ":" not in address), "")


async def _unreachable_images(urls: set[str]) -> list[str]:
    problems: list[str] = []
    if not urls:
        return problems
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REACH_TIMEOUT_S)) as session:
        for url in sorted(urls):
            try:
                async with session.head(url, allow_redirects=True) as answer:
                    if answer.status >= 400 and answer.status != 405:
                        problems.append(f"image not found at {url} ({answer.status})")
            except (aiohttp.ClientError, TimeoutError) as problem:
                problems.append(f"image at {url} cannot be reached: {problem or 'no answer in time'}")
    return problems


def _name_of(contract: Contract) -> str:
    content = contract.content
    return planning.name_in(content.deployment_data) if isinstance(content, NodeContract) else ""


def _still(node: int, contract: ContractId, latest: dict[str, Workload]) -> str:
    waiting = [
        f"{name} ({workload.result.message or workload.result.state.value or 'init'})"
        for name, workload in latest.items()
        if workload.result.state is not ResultState.OK
    ]
    return (
        f"node {node}, contract {contract}: time is over, still waiting for {', '.join(waiting) or 'results'}"
    )


def _reason(problem: BaseException) -> str:
    """The text of the innermost first error; task groups wrap it."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return str(problem) or type(problem).__name__


async def _bounded(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines side by side, at most PARALLEL at once, in order of the input."""
    limit = asyncio.Semaphore(PARALLEL)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with limit:
            return await job

    return list(await asyncio.gather(*(one(job) for job in jobs)))


__all__ = ["ContractState", "Event", "GridClient", "NodeSummary", "Placed", "ignore"]
