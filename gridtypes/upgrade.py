"""From one version of a deployment to the next: which workloads to add, update and remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gridtypes.errors import InvalidDeployment, UpgradeError
from gridtypes.ids import WorkloadId
from gridtypes.workload import Workload

if TYPE_CHECKING:
    from gridtypes.deployment import Deployment

OP_CODES = {"remove": 0, "add": 1, "update": 2}


@dataclass(frozen=True, slots=True)
class UpgradeOp:
    """One step.  The workload of an update carries the new data and the old result; of a removal, the old both."""

    op: Literal["add", "update", "remove"]
    workload: Workload
    id: WorkloadId

    @property
    def code(self) -> int:
        return OP_CODES[self.op]


def plan_upgrade(old: Deployment, new: Deployment) -> list[UpgradeOp]:
    """Adds and updates in the order of `new`, then removals in the order of `old`.  Raises UpgradeError.

    A workload whose version is not the new one is left alone even when its data differ.
    """
    try:
        new.check()
    except InvalidDeployment as error:
        raise UpgradeError(f"new deployment is invalid: {error}") from error
    if new.twin_id != old.twin_id or new.contract_id != old.contract_id:
        raise UpgradeError("cannot change deployment or twin id")
    expected = (old.version + 1) % (1 << 32)
    if new.version != expected:
        raise UpgradeError(f"expecting deployment version {expected}, got {new.version}")

    def step(op: Literal["add", "update", "remove"], workload: Workload) -> UpgradeOp:
        return UpgradeOp(op, workload, WorkloadId(new.twin_id, new.contract_id, workload.name))

    left = {workload.name: workload for workload in old.workloads}
    steps = []
    for workload in new.workloads:
        before = left.pop(workload.name, None)
        if before is None:
            if workload.version != expected:
                raise UpgradeError(
                    f"invalid version number for workload '{workload.name}' expected '{expected}'"
                )
            steps.append(step("add", workload))
        elif before.type != workload.type:
            raise UpgradeError(f"cannot change workload type '{workload.name}'")
        elif workload.version == expected:
            steps.append(step("update", workload.with_result(before.result)))
    return steps + [step("remove", workload) for workload in left.values()]


def carry_results(old: Deployment, new: Deployment) -> Deployment:
    """`new` with the results that its workloads have in `old`; what a client sent for them does not count."""
    results = {workload.name: workload.result for workload in old.workloads}
    carried = [
        workload.with_result(results[workload.name]) if workload.name in results else workload
        for workload in new.workloads
    ]
    return replace(new, workloads=new.workloads if not new.workloads else carried)
