"""The accept path: checks in the order of decision 2, then one transaction, then the answer.

Definite refusals raise Refusal and store nothing.  Only where the chain cannot be reached a deployment of a known
twin is let in to wait (decision 1); `Waiting` checks it later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from gridtypes import (
    DecodeError,
    Deployment,
    InvalidDeployment,
    NodeId,
    SignatureError,
    TwinId,
    UpgradeOp,
    WorkloadId,
    WorkloadType,
)
from provisioners.protocol import PlacedWorkload, WorkloadError
from tfchain import ChainUnavailable
from zosd.accept import drafts
from zosd.accept.contract import (
    ContractView,
    check_contract,
    check_name,
    check_renter,
    not_found,
    wanted_names,
)
from zosd.accept.facts import ChainFacts, KeyMissing, Keys
from zosd.accept.kyc import Kyc
from zosd.accept.refusal import Refusal
from zosd.accept.rules import (
    Address,
    check_addresses,
    check_deployment,
    check_former_signers,
    check_size,
    wanted_addresses,
)
from zosd.books import Books
from zosd.capacity import Ask, MachineFacts, shortage
from zosd.clock import Clock
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Key, Phase

log = structlog.get_logger(__name__)

MOST_WAITING = 64
"""Deployments of one twin that may wait for the chain (decision 1)."""
LARGE_BODY = 64 << 10
"""Bytes from which a body is decoded in a thread: the largest takes more than a second, during which others wait."""
ANSWER_MARGIN = 2.0
"""Seconds that are kept of a call's lifetime for the commit and the way back."""


class NodeNow(Protocol):
    """What the accept path asks about the node itself."""

    async def machine(self) -> MachineFacts: ...

    def node_id(self) -> NodeId:
        """Raises Refusal while the node is not registered."""
        ...

    def own_addresses(self) -> Collection[Address]: ...

    def supported(self) -> Collection[WorkloadType]: ...

    def updatable(self, type: WorkloadType) -> bool: ...

    def validate(self, workload: PlacedWorkload) -> None:
        """What the provisioner of the type can say without touching anything.  Raises WorkloadError."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A deploy or update call."""

    caller: TwinId
    body: bytes
    deadline: float
    """Monotonic seconds at which the caller gives up."""


class Acceptor:
    def __init__(
        self,
        journal: Journal,
        books: Books,
        chain: ChainFacts,
        keys: Keys,
        kyc: Kyc,
        node: NodeNow,
        clock: Clock,
        accepted: Callable[[Key], None],
        look_again: float = 20.0,
    ) -> None:
        """`accepted` is called after the commit; `look_again` is in seconds."""
        self._journal = journal
        self._books = books
        self._chain = chain
        self._keys = keys
        self._kyc = kyc
        self._node = node
        self._clock = clock
        self._accepted = accepted
        self._look_again = look_again
        self._admitting: dict[Key, tuple[Deployment, tuple[Ask, ...]]] = {}
        self._calls: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def deploy(self, call: Call) -> None:
        """Accept a new deployment, or raise Refusal."""
        deployment, keys = await self._authentic(call)
        if deployment.version != 0:
            raise Refusal("expected version to be 0 on deployment creation: invalid version")
        key, hash = drafts.key_of(deployment), drafts.hash_of(deployment)
        async with self._one_call(key):
            if self._is_repeated(key, hash, 0):
                return
            self._check_new(key, deployment)
            checked = await self._contract_fits(deployment, hash, call)
            unmade = self._books.unmade()
            machine = await self._node.machine()
            async with self._journal.altering(key):
                # From here to the start of the commit nothing is awaited: the decision has to stay true.
                replaces = self._check_new(key, deployment)
                self._check_waiting(key, checked)
                phase = Phase.ACTIVE if checked else Phase.WAITING
                draft = drafts.deploy(deployment, hash, phase, self._clock.time(), replaces)
                await self._admit("accept", key, deployment, draft, (machine, unmade), keys)
        self._accepted(key)

    async def update(self, call: Call) -> None:
        """Accept a new version of a deployment, or raise Refusal."""
        deployment, keys = await self._authentic(call)
        key, hash = drafts.key_of(deployment), drafts.hash_of(deployment)
        async with self._one_call(key):
            if self._is_repeated(key, hash, deployment.version):
                return
            self._check_newer(key, deployment)
            checked = await self._contract_fits(deployment, hash, call)
            unmade = self._books.unmade()
            machine = await self._node.machine()
            async with self._journal.altering(key):
                record, operations = self._check_newer(key, deployment)
                self._check_waiting(key, checked)
                now = self._clock.time()
                if checked:
                    draft = drafts.update(record, deployment, hash, operations, now)
                else:
                    draft = drafts.hold_update(record, deployment, now)
                await self._admit("update", key, deployment, draft, (machine, unmade), keys)
        self._accepted(key)

    # -- before the lock: everything that needs no look at the journal --

    async def _authentic(self, call: Call) -> tuple[Deployment, Collection[TwinId]]:
        check_size(call.body)
        if len(call.body) < LARGE_BODY:
            deployment = _decoded(call.body)
        else:
            deployment = await asyncio.to_thread(_decoded, call.body)
        check_deployment(deployment, self._node.supported(), self._node.own_addresses())
        self._validate(deployment)
        if deployment.twin_id != call.caller:
            raise Refusal(f"twin id mismatch (deployment: {deployment.twin_id}, message: {call.caller})")
        await self._kyc.check(call.caller)
        keys = await self._keys.of(deployment)

        def key(twin: TwinId) -> bytes:
            found = keys.get(twin, KeyMissing("twin not found"))
            if isinstance(found, KeyMissing):
                raise found
            return found

        try:
            deployment.verify(key)
        except SignatureError as error:
            raise Refusal(str(error)) from None
        return deployment, keys.keys()

    def _validate(self, deployment: Deployment) -> None:
        for workload in deployment.workloads:
            id = WorkloadId(deployment.twin_id, deployment.contract_id, workload.name)
            try:
                self._node.validate(PlacedWorkload(id, workload))
            except WorkloadError as error:
                raise Refusal(f"workload '{workload.name}': {error}") from None

    # -- what the journal says --

    def _one_call(self, key: Key) -> asyncio.Lock:
        """Calls for one deployment one after the other; the engine goes on meanwhile."""
        lock = self._calls.get(key)
        if lock is None:
            lock = self._calls[key] = asyncio.Lock()
        return lock

    def _is_repeated(self, key: Key, hash: str, version: int) -> bool:
        """A retry whose first answer was lost is answered like the first (decision 8)."""
        known = self._journal.ledger.get(key)
        return (
            known is not None
            and known.phase in (Phase.ACTIVE, Phase.WAITING)
            and (known.hash, known.header.version) == (hash, version)
        )

    def _check_new(self, key: Key, deployment: Deployment) -> DeploymentRecord | None:
        """The record of an earlier, refused try that this deployment replaces, if any."""
        known = self._journal.ledger.get(key)
        if known is not None and known.phase is not Phase.REFUSED:
            raise Refusal("exists")
        self._check_names(deployment)
        return known

    def _check_newer(self, key: Key, deployment: Deployment) -> tuple[DeploymentRecord, list[UpgradeOp]]:
        record = self._stored(key)
        check_former_signers(record.header, deployment)
        operations = drafts.operations(record, deployment, self._node.updatable)
        self._check_names(deployment)
        return record, operations

    def _stored(self, key: Key) -> DeploymentRecord:
        record = self._journal.ledger.get(key)
        if record is None or record.phase in (Phase.REFUSED, Phase.LEAVING):
            known = "deployment" if self._journal.ledger.of_twin(key.twin) else "twin"
            raise Refusal(f"{known} not found: deployment does not exist")
        if record.phase is Phase.WAITING:
            raise Refusal(
                "the deployment itself still waits for the check of its contract, because the chain cannot be "
                "reached: update it when it is no longer in state init"
            )
        return record

    def _check_names(self, deployment: Deployment) -> None:
        """A network's name is the twin's: no other deployment may own it."""
        own = drafts.key_of(deployment)
        for workload in deployment.workloads:
            if not workload.type.sharable:
                continue
            stored = any(
                record.key != own and record.phase is not Phase.REFUSED
                for record in self._journal.ledger.owners_of(own.twin, workload.name)
            )
            coming = any(
                other.name == workload.name and other.type.sharable
                for key, (admitting, _) in self._admitting.items()
                if key != own and key.twin == own.twin
                for other in admitting.workloads
            )
            if stored or coming:
                raise Refusal(f"global workload with the same name '{workload.name}' exists: conflict")

    async def _contract_fits(self, deployment: Deployment, hash: str, call: Call) -> bool:
        """True when the contract was seen and fits, False when the chain cannot be reached."""
        node = self._node.node_id()
        try:
            contract = await self._look_for(deployment, call)
            if contract is None:
                raise Refusal(not_found(deployment.contract_id, await self._chain.height()))
            renter = await self._chain.renter(node)
            patience = self._patience(call)
            owners = {name: await self._chain.name_owner(name, patience) for name in wanted_names(deployment)}
        except ChainUnavailable as error:
            log.warning("accepted without a look at the contract", twin=deployment.twin_id, why=str(error))
            return False
        check_contract(contract, deployment, hash, node)
        check_renter(deployment, node, renter)
        check_addresses(wanted_addresses(deployment), len(contract.addresses))
        for name, owner in owners.items():
            check_name(deployment, name, owner)
        return True

    async def _look_for(self, deployment: Deployment, call: Call) -> ContractView | None:
        """The contract; one that is not there yet is looked for again, on the other endpoints too."""
        contract = await self._chain.contract(deployment.contract_id)
        if contract is None:
            contract = await self._chain.find(deployment.contract_id, self._patience(call))
        return contract

    def _patience(self, call: Call) -> float:
        """Seconds for which something that the chain does not show yet may be looked for."""
        left = call.deadline - self._clock.monotonic() - ANSWER_MARGIN
        return max(0.0, min(self._look_again, left))

    def _check_waiting(self, key: Key, checked: bool) -> None:
        if checked:
            return
        waiting = sum(
            record.phase in (Phase.WAITING, Phase.REFUSED) or record.update is not None
            for record in self._journal.ledger.of_twin(key.twin)
            if record.key != key
        )
        if waiting >= MOST_WAITING:
            raise Refusal(
                f"twin {key.twin} has {waiting} deployments waiting for the chain, the limit is {MOST_WAITING}: "
                "try again when the chain can be reached"
            )

    async def _admit(
        self,
        name: str,
        key: Key,
        deployment: Deployment,
        draft: drafts.Draft,
        facts: tuple[MachineFacts, Mapping[WorkloadId, Ask]],
        keys: Collection[TwinId],
    ) -> None:
        machine, unmade = facts
        coming = [one for _, asks in self._admitting.values() for one in asks]
        text = shortage(draft.asks, self._books.booked(coming, unmade), machine)
        if text is not None:
            raise Refusal(text)
        with self._held(key, deployment, draft.asks):
            await self._journal.commit(name, (*draft.changes, *self._keys.notes(keys)))

    @contextmanager
    def _held(self, key: Key, deployment: Deployment, asks: tuple[Ask, ...]) -> Iterator[None]:
        """Count what is being committed until the ledger counts it."""
        self._admitting[key] = (deployment, asks)
        try:
            yield
        finally:
            del self._admitting[key]


def _decoded(body: bytes) -> Deployment:
    try:
        deployment = Deployment.from_json(body)
        deployment.check()
    except (DecodeError, InvalidDeployment) as error:
        raise Refusal(str(error)) from None
    return deployment
