"""Use a grid: deploy files, follow results, change and cancel, and undo what a failure left half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Protocol

import rmb
from client import checks, following, planning, survey
from client.deployment_file import DeploymentFile
from client.errors import CheckFailed, ClientError, DeployFailed, NodeRefused, NotFound
from client.events import Event, Report, ignore
from client.following import CALL_TIMEOUT_S, Awaited
from client.node_client import Bus, NodeClient
from client.placed import NodeSummary, Placed, matches, name_of
from client.planning import Plan
from client.preview import Preview
from client.preview import preview as make_preview
from client.side_by_side import side_by_side, text_of
from client.survey import REACH_TIMEOUT_S, host_of
from client.undo import NothingToUndo, Undo, UndoStep
from client.wireguard_key import WireGuardKey
from gridtypes import ContractId, Deployment, NodeId, TwinId, Workload
from tfchain import Chain, OutcomeUnknown
from tfchain.keys import Identity
from tfchain.models import Contract, Node

FOLLOW_TIMEOUT_S = 600.0
PUT_BACK_TIMEOUT_S = 120.0
MOST_NODES_TRIED = 5


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

        return await side_by_side([look(node) for node in await self.chain.nodes()])

    # -- what the user has ------------------------------------------------------------------------------------

    async def contracts(self) -> list[Contract]:
        """The user's living node contracts, by number.  The chain is asked, no notes are kept (case B090)."""
        nodes = await self.chain.nodes()
        lists = await side_by_side([self.chain.node_contracts(node.id) for node in nodes])
        found = await self.chain.contracts([number for numbers in lists for number in numbers])
        own = (contract for contract in found.values() if contract.twin_id == self.twin)
        return sorted(own, key=lambda contract: contract.contract_id)

    async def ls(self) -> list[Placed]:
        """All deployments of the user."""
        return await side_by_side([self._place(contract) for contract in await self.contracts()])

    async def find(self, wanted: str | int) -> list[Placed]:
        """Deployments by name or contract number.  Raises NotFound, which names what there is."""
        return await side_by_side([self._place(contract) for contract in await self._matching(wanted)])

    async def changes(self, wanted: str | int) -> list[tuple[Placed, Workload]]:
        """Every result of every workload, oldest first.  Raises NotFound, rmb.RmbError."""
        found: list[tuple[Placed, Workload]] = []
        for placed in await self.find(wanted):
            node = await self.node(placed.node)
            found += [(placed, workload) for workload in await node.deployment_changes(placed.contract)]
        return found

    async def _matching(self, wanted: str | int) -> list[Contract]:
        contracts = await self.contracts()
        hits = [contract for contract in contracts if matches(contract, wanted)]
        if not hits:
            names = sorted({name_of(contract) or str(contract.contract_id) for contract in contracts})
            raise NotFound(f"no deployment {str(wanted)!r}; there are: {', '.join(names) or 'none'}")
        return hits

    async def _place(self, contract: Contract) -> Placed:
        content = contract.node_contract
        assert content is not None
        deployment, problem = None, ""
        try:
            node = await self.node(content.node_id)
            deployment = await node.deployment_get(contract.contract_id, timeout=REACH_TIMEOUT_S)
        except (rmb.RmbError, ClientError) as error:
            problem = str(error)
        name, state = name_of(contract), contract.state.value
        return Placed(content.node_id, contract.contract_id, name, state, deployment, problem)

    # -- deploy -----------------------------------------------------------------------------------------------

    async def plan(
        self,
        file: DeploymentFile,
        existing: Sequence[Placed] = (),
        refused: Mapping[int, list[str]] | None = None,
    ) -> Plan:
        """What the file comes to on this grid, after every check that can be made beforehand (decision 53).

        Where the file leaves the choice of a node (`any`), the next one is tried when one does not do (decision 55).
        `refused` are nodes that said no already, with their reasons.  Raises CheckFailed.  Nothing is signed or paid.
        """
        nodes = {int(node.id): node for node in await self.chain.nodes()}
        free_choice = "any" in file.labels.values()
        up = [int(one.node.id) for one in await self.nodes() if one.is_up] if free_choice else []
        kept = [int(placed.node) for placed in existing]
        avoid: dict[int, list[str]] = dict(refused or {})
        while True:
            chosen = survey.choose(file, nodes, kept=kept, up=up, avoid=avoid)
            facts = await survey.facts_of(self.bus, chosen)
            plan = planning.make_plan(
                file,
                twin=self.twin,
                nodes=facts,
                user_keys=self._user_keys(file),
                existing={placed.node: placed.deployment for placed in existing if placed.deployment},
            )
            fresh = {node: one for node, one in plan.deployments.items() if not one.contract_id}
            misfits = {
                node: problems
                for node, one in fresh.items()
                if (problems := await survey.misfits(self.bus, node, nodes[node].twin_id, one))
            }
            movable = {plan.nodes[label] for label, number in file.labels.items() if number == "any"}
            if not misfits or not movable.issuperset(misfits):
                break
            avoid |= misfits
        problems = [problem for reasons in misfits.values() for problem in reasons]
        problems += await self._other_problems(plan, fresh)
        if problems:
            raise CheckFailed(problems)
        return plan

    async def _other_problems(self, plan: Plan, fresh: dict[int, Deployment]) -> list[str]:
        """What is wrong wherever it is deployed."""
        problems = checks.image_form_problems(plan.deployments)
        for deployment in plan.deployments.values():
            problems += checks.mount_problems(deployment)
        if fresh and await self.chain.balance(self.key.public_key) < checks.MIN_BALANCE:
            problems.append(f"account {self.key.address} has too little money for a contract: fund it first")
        return problems + await survey.unreachable_images(checks.public_image_urls(fresh))

    async def deploy(
        self, file: DeploymentFile, report: Report = ignore, *, timeout: float = FOLLOW_TIMEOUT_S
    ) -> list[Placed]:
        """Deploy a file: check, make contracts, sign, send, follow until everything runs.

        Raises CheckFailed before anything was made, DeployFailed after everything that was made was undone; a
        cancelled task undoes too, and ends with DeployFailed.
        """
        if any(name_of(contract) == file.name for contract in await self.contracts()):
            raise CheckFailed([f"a deployment {file.name!r} exists already: `zos update` changes it"])
        refused: dict[int, list[str]] = {}
        while True:
            plan = await self.plan(file, refused=refused)
            try:
                await self._deploy(plan, report, timeout)
                return await self.find(file.name)
            except DeployFailed as failed:
                refusal = failed.__cause__
                free = {plan.nodes[label] for label, number in file.labels.items() if number == "any"}
                if not isinstance(refusal, NodeRefused) or failed.left or refusal.node not in free:
                    raise
                if not refusal.is_for_room or len(refused) >= MOST_NODES_TRIED:
                    raise
                refused[refusal.node] = [f"node {refusal.node}: {refusal.text}"]
                report(Event("elsewhere", refusal.node, message=refusal.text))

    async def _deploy(self, plan: Plan, report: Report, timeout: float) -> None:
        async with self._undoing() as undo:
            sent = [
                await self._create(plan, node, deployment, report, undo)
                for node, deployment in plan.deployments.items()
            ]
            for node, deployment in zip(plan.deployments, sent, strict=True):
                await self._send(node, deployment, report)
            await self._follow(zip(plan.deployments, sent, strict=True), report, timeout)

    async def preview(self, file: DeploymentFile) -> Preview:
        """What deploying the file, or updating to it, would change and cost.  Raises CheckFailed."""
        known = any(name_of(contract) == file.name for contract in await self.contracts())
        existing = await self.find(file.name) if known else []
        plan = await self.plan(file, existing)
        policies = {}
        for node in plan.deployments:
            found = await self.chain.node(NodeId(node))
            farm = await self.chain.farm(found.farm_id) if found else None
            policy = await self.chain.pricing_policy(farm.pricing_policy_id) if farm else None
            if policy is not None:
                policies[node] = policy
        least, most = await self.chain.tft_price_bounds()
        price = min(max(await self.chain.average_tft_price(), least), most)  # as billing takes it
        return make_preview(plan, existing, policies, price, await self.chain.balance(self.key.public_key))

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
        async with self._undoing() as undo:
            sent: dict[int, Deployment] = {}
            for node, deployment in plan.deployments.items():
                if node not in before:
                    sent[node] = await self._create(plan, node, deployment, report, undo)
                    await self._send(node, sent[node], report)
            for node, placed in before.items():
                wanted, old = plan.deployments.get(node), placed.deployment
                if wanted is not None and old is not None and wanted.version != old.version:
                    await self._note_change(placed, old, wanted, report, undo)
                    await self._change(node, wanted, plan.contract_data, report)
                    sent[node] = wanted
            await self._follow(sent.items(), report, timeout)
        for node, placed in before.items():
            if node not in plan.deployments:
                await self.chain.cancel_contract(self.key, placed.contract)
                report(Event("cancelled", node, placed.contract))
        return await self.find(file.name)

    async def cancel(self, wanted: str | int, report: Report = ignore) -> list[ContractId]:
        """Cancel the contracts of a deployment; its nodes remove everything.  Raises NotFound."""
        contracts = await self._matching(wanted)
        for contract in reversed(contracts):
            await self.chain.cancel_contract(self.key, contract.contract_id)
            report(Event("cancelled", contract=contract.contract_id))
        return [contract.contract_id for contract in contracts]

    async def follow_changes(self, wanted: str | int, show: Callable[[Placed, Workload], None]) -> None:
        """Show every result as it comes, the earlier ones first, until the deployment is gone from its nodes."""

        async def follow(placed: Placed) -> None:
            try:
                async with aclosing(self.watch(placed.node, placed.contract)) as stream:
                    async for workload in stream:
                        show(placed, workload)
            except rmb.RemoteError as problem:
                if "not found" not in str(problem):
                    raise

        await side_by_side([follow(placed) for placed in await self.find(wanted)])

    async def watch(self, node: int, contract: ContractId) -> AsyncGenerator[Workload, None]:
        """Every change of a deployment as it comes, the earlier ones first."""
        seen = 0
        async with aclosing(following.watch(await self.node(node), contract)) as stream:
            async for changes in stream:
                for workload in changes[seen:]:
                    yield workload
                seen = len(changes)

    # -- steps ------------------------------------------------------------------------------------------------

    async def _create(
        self, plan: Plan, node: int, deployment: Deployment, report: Report, undo: Undo
    ) -> Deployment:
        """Make the contract of a deployment; returns the deployment bound to it."""
        digest = deployment.challenge_hash().hex()
        made: list[ContractId] = []
        is_unknown = False

        async def cancel() -> None:
            found = made[0] if made else None
            if found is None and is_unknown:
                found = await self.chain.contract_by_node_and_hash(NodeId(node), digest)
                if found is None:
                    raise ClientError("the chain did not say whether it was made; it may still come")
            if found is None:
                raise NothingToUndo
            await self.chain.cancel_contract(self.key, found)
            report(Event("cancelled", node, found))

        step = UndoStep(f"contract for node {node}", f"`zos cancel {plan.name}`", cancel)
        undo.note(step)
        try:
            contract = await self.chain.create_node_contract(
                self.key, NodeId(node), digest, plan.contract_data, planning.public_ips(deployment)
            )
        except (OutcomeUnknown, asyncio.CancelledError):
            is_unknown = True
            raise
        made.append(contract)
        step.what, step.remedy = f"contract {contract} on node {node}", f"`zos cancel {contract}`"
        report(Event("contract", node, contract, hash=digest))
        return replace(deployment, contract_id=contract)

    async def _send(self, node: int, deployment: Deployment, report: Report) -> None:
        signed = deployment.sign(self.twin, self.key)
        try:
            await (await self.node(node)).deployment_deploy(signed, timeout=CALL_TIMEOUT_S)
        except rmb.RemoteError as problem:
            raise NodeRefused(node, str(problem)) from problem
        report(Event("accepted", node, deployment.contract_id))

    async def _change(self, node: int, wanted: Deployment, data: bytes, report: Report) -> None:
        digest = wanted.challenge_hash().hex()
        await self.chain.update_node_contract(self.key, wanted.contract_id, digest, data)
        report(Event("contract", node, wanted.contract_id, hash=digest))
        signed = wanted.sign(self.twin, self.key)
        await (await self.node(node)).deployment_update(signed, timeout=CALL_TIMEOUT_S)
        report(Event("accepted", node, wanted.contract_id))

    async def _note_change(
        self, placed: Placed, old: Deployment, wanted: Deployment, report: Report, undo: Undo
    ) -> None:
        """Remember how a deployment that is about to change is put back."""
        contract = await self.chain.contract(placed.contract)
        content = contract.node_contract if contract else None
        if content is None:
            raise NotFound(f"contract {placed.contract} is no longer on the chain")

        async def put_back() -> None:
            now = await (await self.node(placed.node)).deployment_get(placed.contract, timeout=CALL_TIMEOUT_S)
            if now.version == old.version:
                # The node never took the new version, so at most the contract has its hash.
                await self.chain.update_node_contract(
                    self.key, placed.contract, content.deployment_hash, content.deployment_data
                )
                return
            former = planning.put_back(now, old, wanted)
            await self._change(placed.node, former, content.deployment_data, report)
            await self._follow([(placed.node, former)], report, PUT_BACK_TIMEOUT_S)

        what = f"contract {placed.contract} on node {placed.node} put back"
        undo.note(UndoStep(what, "`zos update` with the former file", put_back))

    async def _follow(self, sent: Iterable[tuple[int, Deployment]], report: Report, timeout: float) -> None:
        awaited = [(Awaited.of(node, deployment), await self.node(node)) for node, deployment in sent]
        await following.follow(awaited, report, timeout=timeout)

    @asynccontextmanager
    async def _undoing(self) -> AsyncIterator[Undo]:
        """Turn any failure inside into DeployFailed, after everything that was noted is undone."""
        undo = Undo()
        try:
            yield undo
        except (Exception, asyncio.CancelledError) as problem:
            undone, left = await asyncio.shield(undo.run())
            is_interrupt = isinstance(problem, asyncio.CancelledError)
            if is_interrupt and not undone and not left:
                raise
            raise DeployFailed("interrupted" if is_interrupt else text_of(problem), undone, left) from problem

    def _user_keys(self, file: DeploymentFile) -> dict[str, WireGuardKey]:
        """The key of the user's own machine in each network; none for keys whose signatures vary."""
        if self.key.type != "ed25519":
            return {}
        return {name: WireGuardKey.of_user(self.key, name) for name in file.networks}


__all__ = ["Event", "GridClient", "NodeSummary", "Placed", "host_of", "ignore"]
