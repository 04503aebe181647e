"""Follow a deployment's results until all are there.

A node shows a new version of a deployment as soon as it has accepted it, with the old results; so the *changes* are
read, in which every result carries the version that it belongs to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import rmb
from client.errors import ClientError
from client.events import Event, Report, ignore
from client.node_client import NodeClient
from gridtypes import ContractId, Deployment, ResultState, Workload

CALL_TIMEOUT_S = 60.0
POLL_FIRST_S, POLL_MAX_S = 0.2, 2.0
PATIENCE_S = 300.0

DONE = (ResultState.OK, ResultState.PAUSED)
FAILED = (ResultState.ERROR, ResultState.UNCHANGED, ResultState.DELETED)
"""`unchanged` is how a node refuses an update of a workload that goes on running as it was."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A version of a deployment, and the workloads that get a result in it."""

    node: int
    contract: ContractId
    version: int
    names: frozenset[str]

    @classmethod
    def of(cls, node: int, deployment: Deployment) -> Awaited:
        """What to wait for after `deployment` was sent: the workloads that its version adds or changes."""
        names = (str(one.name) for one in deployment.workloads if one.version == deployment.version)
        return cls(node, deployment.contract_id, deployment.version, frozenset(names))

    def latest(self, changes: Iterable[Workload]) -> dict[str, Workload]:
        """The newest result of each awaited workload in this version or a later one."""
        return {
            str(one.name): one for one in changes if one.name in self.names and one.version >= self.version
        }

    def failures(self, latest: Mapping[str, Workload]) -> list[str]:
        """Why workloads failed; empty when none did."""
        return [
            f"{name} on node {self.node}: {one.result.message or one.result.state.value}"
            for name, one in sorted(latest.items())
            if one.result.state in FAILED
        ]

    def is_done(self, latest: Mapping[str, Workload]) -> bool:
        return all(name in latest and latest[name].result.state in DONE for name in self.names)

    def waiting(self, latest: Mapping[str, Workload]) -> str:
        """What is still waited for."""
        parts = []
        for name in sorted(self.names):
            result = latest[name].result if name in latest else None
            if result is None or result.state not in DONE:
                parts.append(f"{name} ({(result and (result.message or result.state.value)) or 'init'})")
        return ", ".join(parts)


async def watch(
    node: NodeClient, contract: ContractId, patience: float = PATIENCE_S
) -> AsyncGenerator[list[Workload], None]:
    """The whole list of changes, each time that it has grown; the first time at once.

    A node that does not answer is asked again, for `patience` seconds since its last answer; then what its last call
    raised is raised here.
    """
    seen, pause, answered = -1, POLL_FIRST_S, time.monotonic()
    while True:
        try:
            found = await node.deployment_changes(contract, timeout=CALL_TIMEOUT_S)
        except (rmb.CallTimeout, rmb.NotDelivered, rmb.BusUnavailable):
            # It restarts, or the bus does; what it was told is not lost.
            if time.monotonic() - answered > patience:
                raise
        else:
            answered = time.monotonic()
            if len(found) > seen:
                seen, pause = len(found), POLL_FIRST_S
                yield found
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, POLL_MAX_S)


async def follow(
    awaited: Sequence[tuple[Awaited, NodeClient]], report: Report = ignore, *, timeout: float
) -> None:
    """Wait until every awaited workload has its result.

    Raises ClientError (in an exception group) naming the workloads that failed, or what is still waited for after
    `timeout` seconds, and whatever a node call raises.
    """
    deadline = time.monotonic() + timeout
    async with asyncio.TaskGroup() as group:
        for one, node in awaited:
            group.create_task(_follow_one(one, node, report, deadline))


async def _follow_one(awaited: Awaited, node: NodeClient, report: Report, deadline: float) -> None:
    latest: dict[str, Workload] = {}
    try:
        async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
            async with aclosing(watch(node, awaited.contract)) as stream:
                reported = 0
                async for changes in stream:
                    latest = awaited.latest(changes)
                    for one in changes[reported:]:
                        if one.version >= awaited.version:
                            report(_event(awaited, one))
                    reported = len(changes)
                    if failures := awaited.failures(latest):
                        raise ClientError("; ".join(failures))
                    if awaited.is_done(latest):
                        break
            # An update that adds and changes nothing leaves no trace in the changes.
            while not awaited.names and await _version(node, awaited.contract) < awaited.version:
                await asyncio.sleep(POLL_FIRST_S)
    except TimeoutError:
        raise ClientError(
            f"node {awaited.node}, contract {awaited.contract}: time is over, "
            f"still waiting for {awaited.waiting(latest) or f'version {awaited.version}'}"
        ) from None


async def _version(node: NodeClient, contract: ContractId) -> int:
    return (await node.deployment_get(contract, timeout=CALL_TIMEOUT_S)).version


def _event(awaited: Awaited, workload: Workload) -> Event:
    result = workload.result
    return Event(
        "workload",
        awaited.node,
        awaited.contract,
        workload.name,
        result.state.value or ResultState.INIT.value,
        result.message,
    )
