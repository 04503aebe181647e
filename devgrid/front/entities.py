"""What the graphql service tells: entities of the existing grid's indexer, as plain values.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from devgrid.front.proxy import GRID_VERSION
from devgrid.front.snapshot import Snapshot
from tfchain.models import Contract, Farm, NameContract, Node, NodeContract, RentContract, Twin

Row = Mapping[str, Any]
Shape = Mapping[str, Any]
"""Field → a scalar's name, a Shape for an object, or a list of one Shape."""

RESOURCES: Shape = {"sru": "BigInt", "hru": "BigInt", "cru": "BigInt", "mru": "BigInt"}
STATE = "ContractState"
"""The enumeration of contracts' states."""

SHAPES: Mapping[str, Shape] = {
    "Twin": {
        "id": "String",
        "gridVersion": "Int",
        "twinID": "Int",
        "accountID": "String",
        "relay": "String",
        "publicKey": "String",
    },
    "Farm": {
        "id": "String",
        "gridVersion": "Int",
        "farmID": "Int",
        "name": "String",
        "twinID": "Int",
        "pricingPolicyID": "Int",
        "certification": "String",
        "stellarAddress": "String",
        "dedicatedFarm": "Boolean",
        "publicIPs": [{"id": "String", "gateway": "String", "ip": "String", "contractId": "BigInt"}],
    },
    "Node": {
        "id": "String",
        "gridVersion": "Int",
        "nodeID": "Int",
        "farmID": "Int",
        "twinID": "Int",
        "country": "String",
        "city": "String",
        "created": "BigInt",
        "farmingPolicyId": "Int",
        "certification": "String",
        "secure": "Boolean",
        "virtualized": "Boolean",
        "serialNumber": "String",
        "connectionPrice": "Int",
        "dedicated": "Boolean",
        "extraFee": "BigInt",
        "location": {"latitude": "String", "longitude": "String"},
        "publicConfig": {
            "ipv4": "String",
            "gw4": "String",
            "ipv6": "String",
            "gw6": "String",
            "domain": "String",
        },
        "resourcesTotal": RESOURCES,
        "interfaces": [{"name": "String", "mac": "String", "ips": "String"}],
        "power": {"state": "String", "target": "String"},
    },
    "NodeContract": {
        "id": "String",
        "gridVersion": "Int",
        "contractID": "BigInt",
        "twinID": "Int",
        "nodeID": "Int",
        "deploymentData": "String",
        "deploymentHash": "String",
        "numberOfPublicIPs": "Int",
        "createdAt": "BigInt",
        "solutionProviderID": "Int",
        "state": STATE,
        "resourcesUsed": RESOURCES,
    },
    "NameContract": {
        "id": "String",
        "gridVersion": "Int",
        "contractID": "BigInt",
        "twinID": "Int",
        "name": "String",
        "createdAt": "BigInt",
        "solutionProviderID": "Int",
        "state": STATE,
    },
    "RentContract": {
        "id": "String",
        "gridVersion": "Int",
        "contractID": "BigInt",
        "twinID": "Int",
        "nodeID": "Int",
        "createdAt": "BigInt",
        "solutionProviderID": "Int",
        "state": STATE,
    },
    "ContractBillReport": {
        "id": "String",
        "contractID": "BigInt",
        "discountReceived": "String",
        "amountBilled": "BigInt",
        "timestamp": "BigInt",
    },
}
"""`createdAt` of contracts is null: the chain does not keep it."""


def rows(entity: str, state: Snapshot) -> list[Row]:
    """All of an entity, in the order of their numbers; bill reports are not part of a snapshot."""
    return ROWS[entity](state)


def _twin(twin: Twin) -> Row:
    return {
        "id": f"twin-{twin.id}",
        "gridVersion": GRID_VERSION,
        "twinID": twin.id,
        "accountID": twin.address,
        "relay": twin.relay,
        "publicKey": "0x" + twin.pk.hex() if twin.pk else None,
    }


def _farm(state: Snapshot, farm: Farm) -> Row:
    return {
        "id": f"farm-{farm.id}",
        "gridVersion": GRID_VERSION,
        "farmID": farm.id,
        "name": farm.name,
        "twinID": farm.twin_id,
        "pricingPolicyID": farm.pricing_policy_id,
        "certification": farm.certification,
        "stellarAddress": state.payout_addresses.get(farm.id),
        "dedicatedFarm": farm.dedicated_farm,
        "publicIPs": [
            {
                "id": f"{farm.id}-{number}",
                "gateway": address.gateway,
                "ip": address.ip,
                "contractId": address.contract_id,
            }
            for number, address in enumerate(farm.public_ips)
        ],
    }


def _node(state: Snapshot, node: Node) -> Row:
    config, power = node.public_config, state.powers.get(node.id)
    return {
        "id": f"node-{node.id}",
        "gridVersion": GRID_VERSION,
        "nodeID": node.id,
        "farmID": node.farm_id,
        "twinID": node.twin_id,
        "country": node.location.country,
        "city": node.location.city,
        "created": node.created,
        "farmingPolicyId": node.farming_policy_id,
        "certification": node.certification,
        "secure": node.secure_boot,
        "virtualized": node.virtualized,
        "serialNumber": node.serial_number,
        "connectionPrice": node.connection_price,
        "dedicated": state.rent_of(node.id) is not None,
        "extraFee": state.extra_fees.get(node.id, 0),
        "location": {"latitude": node.location.latitude, "longitude": node.location.longitude},
        "publicConfig": None
        if config is None
        else {
            "ipv4": config.ip4.ip,
            "gw4": config.ip4.gw,
            "ipv6": config.ip6.ip if config.ip6 else None,
            "gw6": config.ip6.gw if config.ip6 else None,
            "domain": config.domain,
        },
        "resourcesTotal": asdict(node.resources),
        "interfaces": [
            {"name": each.name, "mac": each.mac, "ips": ",".join(each.ips)} for each in node.interfaces
        ],
        "power": {
            "state": "Up" if power is None or power.is_up else "Down",
            "target": "Up" if power is None or power.wanted_up else "Down",
        },
    }


def _contract(contract: Contract) -> dict[str, Any]:
    return {
        "id": f"contract-{contract.contract_id}",
        "gridVersion": GRID_VERSION,
        "contractID": contract.contract_id,
        "twinID": contract.twin_id,
        "createdAt": None,
        "solutionProviderID": contract.solution_provider_id,
        "state": contract.state.value,
    }


def _node_contracts(state: Snapshot) -> list[Row]:
    return [
        {
            **_contract(contract),
            "nodeID": content.node_id,
            "deploymentData": content.deployment_data.decode("utf-8", "replace"),
            "deploymentHash": content.deployment_hash,
            "numberOfPublicIPs": content.public_ips,
            "resourcesUsed": asdict(state.used[contract.contract_id])
            if contract.contract_id in state.used
            else None,
        }
        for contract in state.contracts
        if isinstance(content := contract.content, NodeContract)
    ]


def _name_contracts(state: Snapshot) -> list[Row]:
    return [
        {**_contract(contract), "name": content.name}
        for contract in state.contracts
        if isinstance(content := contract.content, NameContract)
    ]


def _rent_contracts(state: Snapshot) -> list[Row]:
    return [
        {**_contract(contract), "nodeID": content.node_id}
        for contract in state.contracts
        if isinstance(content := contract.content, RentContract)
    ]


ROWS: Mapping[str, Callable[[Snapshot], list[Row]]] = {
    "Twin": lambda state: [_twin(twin) for twin in state.twins],
    "Farm": lambda state: [_farm(state, farm) for farm in state.farms],
    "Node": lambda state: [_node(state, node) for node in state.nodes],
    "NodeContract": _node_contracts,
    "NameContract": _name_contracts,
    "RentContract": _rent_contracts,
    "ContractBillReport": lambda _: [],
}
