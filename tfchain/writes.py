"""What can be asked of the chain to change.

Every call is submitted and waited for until it is in a block; one at a time for each account, so nonces never collide.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from gridtypes.ids import ContractId, FarmId, NodeId, TwinId
from tfchain.activation import activate
from tfchain.codec.address import decode_address
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.keys import Identity
from tfchain.lease import Lease
from tfchain.models import (
    ContractResources,
    Interface,
    Location,
    PublicConfig,
    Receipt,
    Resources,
    TrafficReport,
)
from tfchain.models.contract import deployment_hash_field
from tfchain.reads import CONTRACTS, TFGRID, Reads
from tfchain.runtime import Call
from tfchain.submit import Submission

SUBMIT_TIMEOUT = 60.0
"""Seconds for one call to get into a block, its turn included."""
ENOUGH_UNITS = 10_000
"""Units (10^-7 TFT) above which an account counts as funded."""
FUNDS_TIMEOUT = 20.0
"""Seconds from an activation to the money."""
LOOK_AGAIN = 0.5
TERMS_LINK = "http://zos.tf/terms/v0.1"
TERMS_HASH = "9021d4dee05a661e2cb6838152c67f25"
"""The terms that every node and client accepts today."""


class Writes(Reads):
    """Each raises `DispatchError` when the chain refuses the call, `SubmissionRefused` when it does not even take it,
    `ChainUnavailable` when it was not sent and `OutcomeUnknown` when its fate could not be learnt in time.
    """

    _turns: dict[bytes, asyncio.Lock]

    async def submit(
        self,
        key: Identity,
        pallet: str,
        name: str,
        arguments: dict[str, Any],
        *,
        timeout: float = SUBMIT_TIMEOUT,
    ) -> Receipt:
        """Any call; arguments by name, texts and accounts as bytes."""
        return await self._submit(key, Call(pallet, name, arguments), timeout)

    async def submit_all(
        self, key: Identity, calls: Sequence[Call], *, timeout: float = SUBMIT_TIMEOUT
    ) -> Receipt:
        """Several calls as one: all have effect, or none."""
        values = await self._access.run(partial(_call_values, calls))
        return await self._submit(key, Call("Utility", "batch_all", {"calls": values}), timeout)

    # -- twins ------------------------------------------------------------------------------------------------

    async def accept_terms(self, key: Identity, link: str = TERMS_LINK, hash_text: str = TERMS_HASH) -> None:
        """Accept terms; without any accepted an account cannot have a twin."""
        arguments = {"document_link": link.encode(), "document_hash": hash_text.encode()}
        await self.submit(key, TFGRID, "user_accept_tc", arguments)

    async def create_twin(self, key: Identity, relay: str | None = None, pk: bytes | None = None) -> TwinId:
        """Make a twin for the account; its terms have to be accepted."""
        arguments = {"relay": _optional(relay), "pk": pk}
        receipt = await self.submit(key, TFGRID, "create_twin", arguments)
        return TwinId(_stored(receipt, TFGRID, "TwinStored")["id"])

    async def update_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> None:
        """Replace relay and key; None clears."""
        await self.submit(key, TFGRID, "update_twin", {"relay": _optional(relay), "pk": pk})

    # -- farms ------------------------------------------------------------------------------------------------

    async def create_farm(
        self, key: Identity, name: str, public_ips: Sequence[tuple[str, str]] = ()
    ) -> FarmId:
        """Make a farm; `public_ips` are (address in CIDR form, gateway)."""
        addresses = [{"ip": ip.encode(), "gw": gateway.encode()} for ip, gateway in public_ips]
        arguments = {"name": name.encode(), "public_ips": addresses}
        receipt = await self.submit(key, TFGRID, "create_farm", arguments)
        return FarmId(_stored(receipt, TFGRID, "FarmStored")["id"])

    async def add_farm_ip(self, key: Identity, farm: FarmId, ip: str, gateway: str) -> None:
        """Add a public address in CIDR form."""
        arguments = {"farm_id": farm, "ip": ip.encode(), "gw": gateway.encode()}
        await self.submit(key, TFGRID, "add_farm_ip", arguments)

    async def remove_farm_ip(self, key: Identity, farm: FarmId, ip: str) -> None:
        """Remove a public address that no contract holds."""
        await self.submit(key, TFGRID, "remove_farm_ip", {"farm_id": farm, "ip": ip.encode()})

    # -- nodes ------------------------------------------------------------------------------------------------

    async def create_node(
        self,
        key: Identity,
        *,
        farm: FarmId,
        resources: Resources,
        location: Location,
        interfaces: Sequence[Interface],
        secure_boot: bool = False,
        virtualized: bool = False,
        serial_number: str | None = None,
    ) -> NodeId:
        """Register the account's twin as a node."""
        arguments = _node(farm, resources, location, interfaces, secure_boot, virtualized, serial_number)
        receipt = await self.submit(key, TFGRID, "create_node", arguments)
        return NodeId(_stored(receipt, TFGRID, "NodeStored")["id"])

    async def update_node(
        self,
        key: Identity,
        node: NodeId,
        *,
        farm: FarmId,
        resources: Resources,
        location: Location,
        interfaces: Sequence[Interface],
        secure_boot: bool = False,
        virtualized: bool = False,
        serial_number: str | None = None,
    ) -> None:
        fields = _node(farm, resources, location, interfaces, secure_boot, virtualized, serial_number)
        await self.submit(key, TFGRID, "update_node", {"node_id": node, **fields})

    async def set_node_public_config(
        self, key: Identity, farm: FarmId, node: NodeId, config: PublicConfig | None
    ) -> None:
        """Set or, with None, take away a node's public configuration; `key` is the farmer's."""
        value = None if config is None else config.to_value()
        arguments = {"farm_id": farm, "node_id": node, "public_config": value}
        await self.submit(key, TFGRID, "add_node_public_config", arguments)

    async def report_uptime(self, key: Identity, uptime: int, timestamp_hint: int) -> None:
        """Seconds since boot, and the node's clock in Unix seconds."""
        arguments = {"uptime": uptime, "timestamp_hint": timestamp_hint}
        await self.submit(key, TFGRID, "report_uptime_v2", arguments)

    async def set_node_power_state(self, key: Identity, is_up: bool) -> None:
        """The node's own word about its power."""
        await self.submit(key, TFGRID, "change_power_state", {"power_state": _power(is_up)})

    async def set_node_power_target(self, key: Identity, node: NodeId, is_up: bool) -> None:
        """The farmer's wish."""
        arguments = {"node_id": node, "power_target": _power(is_up)}
        await self.submit(key, TFGRID, "change_power_target", arguments)

    # -- contracts --------------------------------------------------------------------------------------------

    async def create_node_contract(
        self, key: Identity, node: NodeId, hash_hex: str, data: bytes | str, public_ips: int = 0
    ) -> ContractId:
        """Make a contract for a deployment with this hash, reserving public addresses of the farm."""
        arguments = {
            "node_id": node,
            "deployment_hash": deployment_hash_field(hash_hex),
            "deployment_data": _bytes(data),
            "public_ips": public_ips,
            "solution_provider_id": None,
        }
        receipt = await self.submit(key, CONTRACTS, "create_node_contract", arguments)
        return ContractId(_stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def update_node_contract(
        self, key: Identity, contract: ContractId, hash_hex: str, data: bytes | str
    ) -> None:
        arguments = {
            "contract_id": contract,
            "deployment_hash": deployment_hash_field(hash_hex),
            "deployment_data": _bytes(data),
        }
        await self.submit(key, CONTRACTS, "update_node_contract", arguments)

    async def create_name_contract(self, key: Identity, name: str) -> ContractId:
        """Reserve a name for a gateway."""
        receipt = await self.submit(key, CONTRACTS, "create_name_contract", {"name": name.encode()})
        return ContractId(_stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def create_rent_contract(self, key: Identity, node: NodeId) -> ContractId:
        """Rent a whole node."""
        arguments = {"node_id": node, "solution_provider_id": None}
        receipt = await self.submit(key, CONTRACTS, "create_rent_contract", arguments)
        return ContractId(_stored(receipt, CONTRACTS, "ContractCreated")["contract_id"])

    async def cancel_contract(self, key: Identity, contract: ContractId) -> None:
        await self.submit(key, CONTRACTS, "cancel_contract", {"contract_id": contract})

    async def report_contract_resources(self, key: Identity, resources: Sequence[ContractResources]) -> None:
        """What deployments use, as their node sees it."""
        values = [one.to_value() for one in resources]
        await self.submit(key, CONTRACTS, "report_contract_resources", {"contract_resources": values})

    async def report_traffic(self, key: Identity, reports: Sequence[TrafficReport]) -> None:
        """What went over the contracts' public addresses, as their node sees it; counted as often as it is told."""
        await self.submit(key, CONTRACTS, "add_nru_reports", {"reports": [one.to_value() for one in reports]})

    # -- money ------------------------------------------------------------------------------------------------

    async def transfer(self, key: Identity, to: bytes | str, units: int) -> None:
        """Send units (10^-7 TFT) to a public key or an SS58 address; the sender's account lives on."""
        if isinstance(to, str):
            to = decode_address(to)
        await self.submit(key, "Balances", "transfer_keep_alive", {"dest": {"Id": to}, "value": units})

    async def ensure_account(self, key: Identity, activation_url: str) -> None:
        """Have an account funded that does not exist or cannot pay a fee; returns when the money is there.

        Raises `ChainUnavailable` when the service cannot be reached or no money comes, `ChainError` when it refuses.
        """
        if await self.balance(key.public_key) > ENOUGH_UNITS:
            return
        await activate(activation_url, key.address)
        deadline = time.monotonic() + FUNDS_TIMEOUT
        while await self.balance(key.public_key) <= ENOUGH_UNITS:
            if time.monotonic() > deadline:
                raise ChainUnavailable(
                    f"activation service {activation_url} took {key.address}, but no money came within "
                    f"{FUNDS_TIMEOUT:g} s"
                )
            await asyncio.sleep(LOOK_AGAIN)

    async def _submit(self, key: Identity, call: Call, timeout: float) -> Receipt:
        """One call of an account after the other, in the order in which they were made."""
        turn = self._turns.setdefault(key.public_key, asyncio.Lock())
        deadline = time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                await turn.acquire()
        except TimeoutError:
            raise ChainUnavailable(
                f"{call} was not sent: earlier calls of {key.address} took more than {timeout:g} s"
            ) from None
        try:
            return await Submission(self._access, key, call, deadline - time.monotonic()).run()
        finally:
            turn.release()


async def _call_values(calls: Sequence[Call], lease: Lease) -> list[Any]:
    return [lease.runtime.call_value(call) for call in calls]


def _node(
    farm: FarmId,
    resources: Resources,
    location: Location,
    interfaces: Sequence[Interface],
    secure_boot: bool,
    virtualized: bool,
    serial_number: str | None,
) -> dict[str, Any]:
    return {
        "farm_id": farm,
        "resources": resources.to_value(),
        "location": location.to_value(),
        "interfaces": [interface.to_value() for interface in interfaces],
        "secure_boot": secure_boot,
        "virtualized": virtualized,
        "serial_number": _optional(serial_number),
    }


def _stored(receipt: Receipt, pallet: str, name: str) -> Any:
    """The object in the event with which a successful call ends."""
    event = receipt.event(pallet, name)
    if event is None:
        raise ChainError(f"block {receipt.block_number} holds the call, but no event {pallet}.{name}")
    return event.attributes["0"]


def _optional(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _power(is_up: bool) -> str:
    return "Up" if is_up else "Down"
