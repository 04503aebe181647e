"""Getting and staying registered: account, terms, twin, node object (engine §10).

Every step looks first, so the whole may be repeated at any time; it is, once a day and whenever the node's addresses
change.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from gridtypes import Capacity, FarmId, NodeId, TwinId
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.errors import DispatchError
from tfchain.keys import Identity
from tfchain.models import Interface, Location, Node, Resources
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.registered import Registered
from zosd.clock import Clock
from zosd.config import ChainSection, NodeSection
from zosd.engine.backoff import Backoff
from zosd.machine import Machine

log = structlog.get_logger(__name__)


class NoSuchFarm(ValueError):
    """The chain does not know the farm that the node shall join."""

    def __init__(self, farm: FarmId) -> None:
        super().__init__(f"farm {farm} does not exist on this chain: check its number, and the run mode")


NO_SUCH_FARM = "FarmNotExists"
"""The chain's name of the refusal."""
ENOUGH = 10_000
"""Balance (10^-7 TFT) above which an account counts as funded."""
LOOK_EVERY = 300.0
"""Seconds between two looks at what the node object should say."""
RETRY = Backoff(2.0, 120.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The node object as it should be."""

    farm: FarmId
    resources: Resources
    location: Location
    interfaces: tuple[Interface, ...]
    secure_boot: bool
    virtualized: bool
    serial: str | None


class Registration:
    def __init__(
        self,
        chain: Chain,
        key: Identity,
        node: NodeSection,
        settings: ChainSection,
        machine: Machine,
        registered: Registered,
        clock: Clock,
        refresh_period: float,
        farmer: Farmer,
    ) -> None:
        self._chain = chain
        self._key = key
        self._node = node
        self._settings = settings
        self._machine = machine
        self._registered = registered
        self._clock = clock
        self._refresh_period = refresh_period
        self._farmer = farmer
        self._announced = False
        """Said once in a daemon's life, also when the ids were known from an earlier one: the chain was reached."""

    async def run(self) -> None:
        """Register, then keep the node object true, for ever."""
        failures = 0
        refreshed_at = -self._refresh_period
        last: Wanted | None = None
        while True:
            try:
                wanted = await self._wanted()
                due = self._clock.monotonic() - refreshed_at >= self._refresh_period
                if due or wanted != last:
                    await self._register(wanted)
                    refreshed_at, last = self._clock.monotonic(), wanted
                failures = 0
                pause = LOOK_EVERY
            except (ChainUnavailable, ChainError, OSError, ValueError) as error:
                failures += 1
                pause = RETRY.delay(failures, self._clock.jitter())
                self._registered.trouble = f"registration failed, tried again: {error}"
                log.warning("registration failed, tried again", why=str(error), after=round(pause, 1))
            await self._clock.sleep(pause)

    async def _register(self, wanted: Wanted) -> None:
        await self._ensure_account()
        twin = await self._ensure_twin()
        try:
            node = await self._ensure_node(twin, wanted)
        except DispatchError as error:
            # Only the chain's refusal proves it: an endpoint that lags has not heard of a young farm either.
            if error.name == NO_SUCH_FARM:
                raise NoSuchFarm(wanted.farm) from error
            raise
        farm = await self._chain.farm(wanted.farm)
        if farm is not None:
            await self._farmer.learn(farm.twin_id)
        if not self._announced:
            name = farm.name if farm is not None else ""
            log.info("registered", node=node, twin=twin, farm=wanted.farm, farm_name=name)
            self._announced = True
        await self._registered.set(node, twin)

    async def _ensure_account(self) -> None:
        account = self._key.public_key
        if await self._chain.balance(account) <= ENOUGH and self._settings.activation:
            await self._chain.ensure_account(self._key, self._settings.activation)
        if not await self._chain.has_accepted_terms(account):
            await self._chain.accept_terms(self._key, self._settings.terms_link, self._settings.terms_hash)

    async def _ensure_twin(self) -> TwinId:
        twin = await self._chain.twin_by_account(self._key.public_key)
        relay = "_".join(sorted(set(self._node.relays))) or None
        if twin is None:
            return await self._chain.create_twin(self._key, relay, None)
        if relay is not None:
            known = await self._chain.twin(twin)
            if known is not None and _hosts(known.relay) != _hosts(relay):
                # The key for encryption belongs to the bus.
                await self._chain.update_twin(self._key, relay, known.pk)
        return twin

    async def _ensure_node(self, twin: TwinId, wanted: Wanted) -> NodeId:
        id = await self._chain.node_by_twin(twin)
        if id is None:
            return await self._chain.create_node(
                self._key,
                farm=wanted.farm,
                resources=wanted.resources,
                location=wanted.location,
                interfaces=wanted.interfaces,
                secure_boot=wanted.secure_boot,
                virtualized=wanted.virtualized,
                serial_number=wanted.serial,
            )
        node = await self._chain.node(id)
        if node is not None and differs(node, wanted):
            await self._chain.update_node(
                self._key,
                id,
                farm=wanted.farm,
                resources=wanted.resources,
                location=wanted.location,
                interfaces=wanted.interfaces,
                secure_boot=wanted.secure_boot,
                virtualized=wanted.virtualized and node.virtualized,
                serial_number=wanted.serial,
            )
        return id

    async def _wanted(self) -> Wanted:
        total = (await self._machine.facts()).total
        addresses = await self._machine.addresses()
        node = self._node
        return Wanted(
            farm=FarmId(node.farm),
            resources=_resources(total),
            location=Location(node.city, node.country, node.latitude, node.longitude),
            interfaces=(
                Interface("zos", await self._machine.mac(), tuple(sorted(addresses.get("zos", ())))),
            ),
            secure_boot=await self._machine.secure_boot(),
            virtualized=await self._machine.virtualized(),
            serial=node.serial or await self._machine.serial() or None,
        )


def differs(node: Node, wanted: Wanted) -> bool:
    """Whether the chain's object has to be updated.  A node that the chain calls not virtualized stays so."""
    return (
        node.farm_id,
        node.resources,
        node.location,
        node.interfaces,
        node.secure_boot,
        node.virtualized,
        node.serial_number,
    ) != (
        wanted.farm,
        wanted.resources,
        wanted.location,
        wanted.interfaces,
        wanted.secure_boot,
        wanted.virtualized and node.virtualized,
        wanted.serial,
    )


def _hosts(relay: str | None) -> set[str]:
    """Host names of a twin's relay field, in which their order has no meaning."""
    return set((relay or "").split("_")) - {""}


def _resources(total: Capacity) -> Resources:
    return Resources(hru=total.hru, sru=total.sru, cru=total.cru, mru=total.mru)
