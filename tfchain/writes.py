"""What can be asked of the chain to change.

Every call is submitted and waited for until it is in a block; one at a time for each account, so nonces never collide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp

from gridtypes.ids import ContractId, FarmId, NodeId, TwinId
from tfchain.access import Access
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.keys import Identity
from tfchain.models import ContractResources, Interface, Location, PublicConfig, Receipt, Resources
from tfchain.models.contract import deployment_hash_field
from tfchain.runtime import Call
from tfchain.submit import Submission

TFGRID = "TfgridModule"
CONTRACTS = "SmartContractModule"
SUBMIT_TIMEOUT = 60.0
"""Seconds for one call to get into a block."""
ACTIVATION_TIMEOUT = 30.0
ALREADY_ACTIVE = 409
ENOUGH_UNITS = 10_000
"""Units (10^-7 TFT) above which an account counts as funded."""


class Writes:
    """Each raises `DispatchError` when the chain refuses the call, `SubmissionRefused` when it does not even take it,
    `ChainUnavailable` when it was not sent and `OutcomeUnknown` when its fate could not be learnt in time.
    """

    _access: Access
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
        turn = self._turns.setdefault(key.public_key, asyncio.Lock())
        async with turn:
            return await Submission(self._access, key, Call(pallet, name, arguments), timeout).run()

    # -- twins ------------------------------------------------------------------------------------------------

    async def accept_terms(self, key: Identity, link: str, hash_text: str) -> None:
        arguments = {"document_link": link.encode(), "document_hash": hash_text.encode()}
        await self.submit(key, TFGRID, "user_accept_tc", arguments)

    async def create_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> TwinId:
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

    async def cancel_contract(self, key: Identity, contract: ContractId) -> None:
        await self.submit(key, CONTRACTS, "cancel_contract", {"contract_id": contract})

    async def report_contract_resources(self, key: Identity, resources: Sequence[ContractResources]) -> None:
        """What deployments use, as their node sees it."""
        values = [one.to_value() for one in resources]
        await self.submit(key, CONTRACTS, "report_contract_resources", {"contract_resources": values})

    # -- money ------------------------------------------------------------------------------------------------

    async def transfer(self, key: Identity, to: bytes, units: int) -> None:
        """Send units (10^-7 TFT) to an account; the sender's account lives on."""
        await self.submit(key, "Balances", "transfer_keep_alive", {"dest": {"Id": to}, "value": units})

    async def ensure_account(self, key: Identity, activation_url: str) -> None:
        """Have the activation service fund an account that holds nothing.

        Raises `ChainUnavailable` when the service cannot be reached, `ChainError` when it refuses.
        """
        body = {"substrateAccountID": key.address}
        try:
            async with aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ACTIVATION_TIMEOUT)
            ) as session:
                async with session.post(activation_url, json=body) as answer:
                    status, text = answer.status, (await answer.text())[:200]
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise ChainUnavailable(f"activation service {activation_url}: {problem}") from problem
        if status >= 500:
            raise ChainUnavailable(f"activation service {activation_url} answered {status}: {text}")
        if status >= 300 and status != ALREADY_ACTIVE:
            raise ChainError(f"activation service {activation_url} refused {key.address} ({status}): {text}")


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
