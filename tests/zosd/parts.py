"""Parts that the daemon's tests are made of: a journal in a folder, null provisioners, a chain in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from nacl.signing import SigningKey
from pydantic import BaseModel

from gridtypes import (
    Capacity,
    ContractId,
    Deployment,
    NodeId,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    Workload,
    WorkloadId,
    WorkloadType,
)
from gridtypes.workloads import WorkloadData
from provisioners.null import null_provisioners
from provisioners.protocol import Context, NodeFacts, NodePaths, PlacedWorkload, ReservedIp, WorkloadError
from tfchain.errors import ChainUnavailable
from zosd.accept.acceptor import Acceptor, Call
from zosd.accept.contract import ContractState, ContractView
from zosd.accept.facts import Keys
from zosd.accept.kyc import NoKyc
from zosd.accept.refusal import Refusal
from zosd.accept.rules import Address
from zosd.accept.waiting import Waiting
from zosd.books import Books
from zosd.capacity import GIB, MachineFacts, Media, PoolSpace
from zosd.chainlife.orders import Orders
from zosd.clock import SystemClock
from zosd.context import NodeContext, NoImages, NoRoots
from zosd.engine.acts import Limits
from zosd.engine.backoff import Backoff
from zosd.engine.engine import Engine, EngineSettings
from zosd.journal.journal import Journal
from zosd.journal.records import Key
from zosd.measures import Measures
from zosd.points import Hook, nothing, observed

NODE = NodeId(7)
TWIN = TwinId(26)
CONTRACT = ContractId(1000)
FAST = EngineSettings(parallel=16, limits=Limits(5, 5), backoff=Backoff(0.01, 0.05))


class Signer:
    """A twin's key."""

    type = "ed25519"

    def __init__(self, twin: TwinId = TWIN) -> None:
        self.twin = twin
        self._key = SigningKey(int(twin).to_bytes(32, "big"))

    @property
    def public_key(self) -> bytes:
        return bytes(self._key.verify_key)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message).signature


def workload(name: str, data: WorkloadData, version: int = 0) -> Workload:
    return Workload.build(name, data, version=version)


def raw(name: str, type: WorkloadType, data: str = "{}", version: int = 0) -> Workload:
    return Workload(version=version, name=name, type=type, data=data.encode())


def zmount(name: str, size: int = GIB, version: int = 0) -> Workload:
    return raw(name, WorkloadType.ZMOUNT, f'{{"size":{size}}}', version)


def network(name: str = "net1", subnet: str = "10.1.2.0/24", port: int = 6000, version: int = 0) -> Workload:
    data = (
        f'{{"ip_range":"10.1.0.0/16","subnet":"{subnet}","wireguard_private_key":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",'
        f'"wireguard_listen_port":{port},"peers":[]}}'
    )
    return raw(name, WorkloadType.NETWORK, data, version)


def public_ip(name: str = "ip1", version: int = 0) -> Workload:
    return raw(name, WorkloadType.IP, '{"v4":true,"v6":false}', version)


def machine(
    name: str = "vm1",
    net: str = "net1",
    mounts: Mapping[str, str] | None = None,
    memory: int = GIB,
    cpu: int = 1,
    public: str = "",
    version: int = 0,
) -> Workload:
    mounted = ",".join(f'{{"name":"{disk}","mountpoint":"{at}"}}' for disk, at in (mounts or {}).items())
    data = (
        f'{{"flist":"https://images.example/a.tar","network":{{"public_ip":"{public}","planetary":false,'
        f'"interfaces":[{{"network":"{net}","ip":"10.1.2.5"}}]}},"size":0,'
        f'"compute_capacity":{{"cpu":{cpu},"memory":{memory}}},"mounts":[{mounted}],"entrypoint":"","env":{{}}}}'
    )
    return raw(name, WorkloadType.ZMACHINE, data, version)


def deployment(
    *workloads: Workload,
    contract: int = CONTRACT,
    signer: Signer | None = None,
    version: int = 0,
    twin: TwinId | None = None,
) -> Deployment:
    """A signed deployment."""
    signer = signer or Signer()
    plain = Deployment(
        version=version,
        twin_id=twin or signer.twin,
        contract_id=ContractId(contract),
        workloads=workloads,
        signature_requirement=SignatureRequirement(
            requests=(SignatureRequest(twin_id=signer.twin, required=False, weight=1),), weight_required=1
        ),
    )
    return plain.sign(signer.twin, signer)


def full(contract: int = CONTRACT, signer: Signer | None = None, net: str = "net1") -> Deployment:
    """Disk, network, address and machine."""
    return deployment(
        machine("vm1", net, {"disk1": "/data"}, public="ip1"),
        zmount("disk1"),
        network(net),
        public_ip("ip1"),
        contract=contract,
        signer=signer,
    )


@dataclass
class FakeChain:
    """Contracts and twins in memory; can be away, or behind."""

    contracts: dict[ContractId, ContractView] = field(default_factory=dict)
    keys: dict[TwinId, bytes] = field(default_factory=dict)
    away: bool = False
    number: int = 100
    lagging: int = 0
    """How many looks the contract is still not shown for."""
    looks: int = 0
    rented_by: TwinId | None = None
    names: dict[str, TwinId | None] = field(default_factory=dict)
    """Who has which name; the first twin has all others."""

    async def twin_key(self, twin: TwinId) -> bytes | None:
        self._reach()
        return self.keys.get(twin)

    async def contract(self, id: ContractId) -> ContractView | None:
        self._reach()
        self.looks += 1
        if self.lagging:
            self.lagging -= 1
            return None
        return self.contracts.get(id)

    async def find(self, id: ContractId, patience: float) -> ContractView | None:
        end = asyncio.get_running_loop().time() + patience
        while (found := await self.contract(id)) is None and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
        return found

    async def height(self) -> int:
        self._reach()
        return self.number

    async def renter(self, node: NodeId) -> TwinId | None:
        self._reach()
        return self.rented_by

    async def name_owner(self, name: str, patience: float) -> TwinId | None:
        self._reach()
        return self.names.get(name, TWIN)

    def sign_up(self, deployment: Deployment, **changes: object) -> None:
        """Make the contract for this deployment."""
        addresses = tuple(
            ReservedIp(IPv4Interface(f"185.206.122.{33 + place}/24"), IPv4Address("185.206.122.1"))
            for place in range(sum(one.type is WorkloadType.IP for one in deployment.workloads))
        )
        contract = ContractView(
            id=deployment.contract_id,
            twin=deployment.twin_id,
            state=ContractState.CREATED,
            node=NODE,
            hash=deployment.challenge_hash().hex(),
            addresses=addresses,
        )
        self.contracts[deployment.contract_id] = replace(contract, **changes)  # type: ignore[arg-type]

    def _reach(self) -> None:
        if self.away:
            raise ChainUnavailable("connection refused")


@dataclass
class FakeNode:
    """What the accept path asks of the node."""

    provisioners: Mapping[WorkloadType, object]
    total: Capacity = field(
        default_factory=lambda: Capacity(cru=4, mru=16 * GIB, sru=100 * GIB, hru=100 * GIB)
    )
    free_ssd: int = 100 * GIB
    available: int | None = None
    addresses: tuple[Address, ...] = ()
    registered: bool = True
    invalid: str = ""
    """What a provisioner says about every workload."""

    async def machine(self) -> MachineFacts:
        await asyncio.sleep(0)
        pools = (
            PoolSpace("p1", Media.SSD, 100 * GIB, 0, self.free_ssd),
            PoolSpace("p2", Media.HDD, 100 * GIB, 0, 100 * GIB),
        )
        return MachineFacts(self.total, self.available, pools, overhead=0)

    def node_id(self) -> NodeId:
        if not self.registered:
            raise Refusal("the node is not registered yet: registration is still in progress")
        return NODE

    def own_addresses(self) -> Collection[Address]:
        return self.addresses

    def supported(self) -> Collection[WorkloadType]:
        return self.provisioners.keys()

    def updatable(self, type: WorkloadType) -> bool:
        return hasattr(self.provisioners.get(type), "update")

    def validate(self, workload: PlacedWorkload) -> None:
        if self.invalid:
            raise WorkloadError(self.invalid)


class Script:
    """A provisioner around a null one that can be made to fail, to hang, or to be watched."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[tuple[str, str]] = []
        self.fail: dict[str, Exception] = {}
        """By verb, or by `verb:name`."""
        self.gates: dict[str, asyncio.Event] = {}
        """A verb waits for its event."""

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._inner, name)
        if name not in ("provision", "update", "pause", "resume", "deprovision", "recover"):
            return attribute

        async def call(ctx: Context, *arguments: PlacedWorkload | WorkloadId) -> BaseModel | None:
            last = arguments[-1]
            id = last.id if isinstance(last, PlacedWorkload) else last
            self.calls.append((name, str(id.name)))
            gate = self.gates.get(name)
            if gate is not None:
                await gate.wait()
            failure = self.fail.get(f"{name}:{id.name}") or self.fail.get(name)
            if failure is not None:
                raise failure
            return await attribute(ctx, *arguments)  # type: ignore[no-any-return]

        return call


@dataclass
class Daemon:
    """Journal, accept path and engine, without bus and chain."""

    journal: Journal
    engine: Engine
    acceptor: Acceptor
    waiting: Waiting
    orders: Orders
    chain: FakeChain
    node: FakeNode
    scripts: Mapping[WorkloadType, Script]

    async def deploy(self, deployment: Deployment, caller: TwinId | None = None) -> None:
        await self.acceptor.deploy(self._call(deployment, caller))

    async def update(self, deployment: Deployment, caller: TwinId | None = None) -> None:
        await self.acceptor.update(self._call(deployment, caller))

    async def deploy_with_contract(self, deployment: Deployment) -> Key:
        self.chain.sign_up(deployment)
        await self.deploy(deployment)
        return Key(deployment.twin_id, deployment.contract_id)

    def states(self, key: Key) -> dict[str, str]:
        record = self.journal.ledger.get(key)
        return {one.name: one.result.state.value for one in record.workloads} if record else {}

    def message(self, key: Key, name: str) -> str:
        record = self.journal.ledger.get(key)
        found = record.workload(name) if record else None  # type: ignore[arg-type]
        return found.result.message if found else ""

    async def changes(self, key: Key) -> list[tuple[str, str]]:
        return [(one.name, one.result.state.value) for one in await self.journal.history(key)]

    async def settled(self, timeout: float = 60.0) -> None:
        """Wait until nothing is left to do."""
        async with asyncio.timeout(timeout):
            while any(record.job for record in self.journal.ledger.all()):
                await asyncio.sleep(0.005)

    async def until(self, condition: object, timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while not condition():  # type: ignore[operator]
                await asyncio.sleep(0.005)

    def _call(self, deployment: Deployment, caller: TwinId | None) -> Call:
        now = SystemClock().monotonic()
        return Call(caller or deployment.twin_id, deployment.to_json(), now + 30)


@asynccontextmanager
async def daemon(
    folder: Path,
    chain: FakeChain | None = None,
    settings: EngineSettings = FAST,
    look_again: float = 0.3,
    start: bool = True,
    hook: Hook = nothing,
    measures: Measures | None = None,
) -> AsyncIterator[Daemon]:
    """A daemon over `folder`; the same folder again is a restart."""
    clock = SystemClock()
    journal = Journal(folder / "journal.db", hook, measures)
    await journal.open()
    chain = chain or FakeChain()
    chain.keys.setdefault(TWIN, Signer().public_key)
    scripts = {type: Script(one) for type, one in null_provisioners().items()}
    paths = NodePaths(folder / "state", folder / "cache", folder / "run", folder / "log")

    async def reserved(contract: ContractId) -> tuple[ReservedIp, ...] | None:
        view = await chain.contract(contract)
        return view.addresses if view else None

    watched = {type: observed(one, hook) for type, one in scripts.items()}  # type: ignore[arg-type]
    ctx = NodeContext(
        paths,
        NodeFacts(NODE, TwinId(1), b"\0" * 32),
        scripts,
        NoRoots(),
        NoImages(),
        reserved,
        journal,  # type: ignore[arg-type]
    )
    engine = Engine(journal, watched, ctx, clock, settings, measures=measures)  # type: ignore[arg-type]
    node = FakeNode(scripts)
    books = Books(journal.ledger)
    orders = Orders(journal, clock, engine.wake)
    acceptor = Acceptor(
        journal, books, chain, Keys(chain, journal.ledger), NoKyc(), node, clock, engine.wake, look_again
    )
    waiting = Waiting(journal, books, chain, node.node_id, node.machine, node.updatable, clock, engine.wake)
    if start:
        await engine.start()
    try:
        yield Daemon(journal, engine, acceptor, waiting, orders, chain, node, scripts)
    finally:
        await engine.stop()
        await journal.close()
