"""A deployment of the journal as `plan` wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gridtypes import Name, ResultState, WorkloadId, WorkloadType
from zosd.engine.eyes import Eyes
from zosd.engine.order import install_key
from zosd.engine.plan import Desired, Goal, Need, Observed, Sight
from zosd.journal.ledger import Ledger
from zosd.journal.records import DeploymentRecord, Key, WorkloadRecord
from zosd.traits import traits


def desired(
    ledger: Ledger, record: DeploymentRecord, eyes: Eyes, can_pause: Callable[[WorkloadType], bool]
) -> Desired:
    """The goals of one deployment."""
    goals = tuple(
        Goal(
            name=workload.name,
            order=install_key(workload.definition.type, traits(workload.definition).size, workload.position),
            state=workload.result.state,
            leaving=bool(workload.leaving),
            newer=workload.newer is not None,
            half_changed=workload.half_changed,
            needs=tuple(_needs(ledger, record, workload, eyes, can_pause)),
            users=tuple(users(ledger, record, workload)) if workload.leaving else (),
            can_pause=can_pause(workload.definition.type),
        )
        for workload in record.workloads
    )
    return Desired(checked=record.checked, paused=record.paused, goals=goals)


def observed(
    record: DeploymentRecord, eyes: Eyes, busy: Callable[[WorkloadId], bool], now: float
) -> dict[Name, Observed]:
    """What is seen of one deployment; `now` in monotonic seconds."""
    return {
        workload.name: Observed(
            sight=eyes.sight(workload.id),
            due=eyes.next_try(workload.id) <= now,
            busy=busy(workload.id),
        )
        for workload in record.workloads
    }


def users(ledger: Ledger, record: DeploymentRecord, workload: WorkloadRecord) -> Iterable[str]:
    """Who still uses a workload: others of the deployment, for a network also other deployments of the twin."""
    for user in record.workloads:
        if user.name != workload.name and workload.name in traits(user.definition).needs:
            yield f"'{user.name}'"
    if not workload.definition.type.sharable:
        return
    for other in ledger.users_of(record.key.twin, workload.name):
        # One that waits for the chain makes nothing yet.
        if other.key != record.key and other.checked:
            for user in other.workloads:
                if workload.name in traits(user.definition).needs:
                    yield str(user.id)


def _needs(
    ledger: Ledger,
    record: DeploymentRecord,
    workload: WorkloadRecord,
    eyes: Eyes,
    can_pause: Callable[[WorkloadType], bool],
) -> Iterable[Need]:
    for name in traits(workload.newer or workload.definition).needs:
        provider = _provider(ledger, record.key, name)
        if provider is None or provider.id == workload.id:
            continue  # the provisioner says best what is missing
        failed = provider.result.message if provider.result.state is ResultState.ERROR else ""
        sight = eyes.sight(provider.id)
        rests = (
            record.paused
            and record.key == Key(provider.id.twin, provider.id.contract)
            and provider.result.state is ResultState.PAUSED
            and can_pause(provider.definition.type)
            and sight is Sight.MISSING
        )
        yield Need(name, ready=sight is Sight.LIVE, failed=failed, rests=rests)


def _provider(ledger: Ledger, key: Key, name: Name) -> WorkloadRecord | None:
    record = ledger.get(key)
    own = record.workload(name) if record else None
    if own is not None:
        return own
    for owner in ledger.owners_of(key.twin, name):
        return owner.workload(name)
    return None
