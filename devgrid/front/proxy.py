"""Answers of a grid proxy (its REST interface, generation 3), made from the chain's state.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from devgrid.front.snapshot import Snapshot, owner_of
from gridtypes import FarmId
from tfchain.models import Contract, Farm, NameContract, Node, NodeContract, Twin

Query = Mapping[str, str]
GRID_VERSION = 3
DEFAULT_SIZE = 50
LARGEST_SIZE = 5000


class BadQuery(ValueError):
    """A parameter that cannot be understood; the message names it."""


class Answers:
    """One snapshot's answers; `features` is what the grid's nodes offer."""

    def __init__(self, snapshot: Snapshot, features: Sequence[str]) -> None:
        self._state = snapshot
        self._features = list(features)

    def nodes(self, query: Query) -> tuple[list[dict[str, Any]], int]:
        """One page, and how many there are on all pages.  Raises BadQuery."""
        found = [each for each in map(self._node, self._state.nodes) if self._matches_node(each, query)]
        return _page(found, query)

    def node(self, number: int) -> dict[str, Any] | None:
        """One node: what a list shows, with its capacity in another place."""
        for each in self._state.nodes:
            if each.id == number:
                shown = self._node(each)
                total, used = shown.pop("total_resources"), shown.pop("used_resources")
                return {**shown, "capacity": {"total_resources": total, "used_resources": used}}
        return None

    def farms(self, query: Query) -> tuple[list[dict[str, Any]], int]:
        """Raises BadQuery."""
        found = [self._farm(farm) for farm in self._state.farms if _matches_farm(farm, query)]
        return _page(found, query)

    def twins(self, query: Query) -> tuple[list[dict[str, Any]], int]:
        """Raises BadQuery."""
        number, account = _number(query, "twin_id"), query.get("account_id")
        found = [
            _twin(twin)
            for twin in self._state.twins
            if number in (None, twin.id) and account in (None, twin.address)
        ]
        return _page(found, query)

    def contracts(self, query: Query) -> tuple[list[dict[str, Any]], int]:
        """Raises BadQuery."""
        found = [
            each for each in map(self._contract, self._state.contracts) if _matches_contract(each, query)
        ]
        return _page(found, query)

    def contract(self, number: int) -> dict[str, Any] | None:
        found = (self._contract(each) for each in self._state.contracts if each.contract_id == number)
        return next(found, None)

    def stats(self) -> dict[str, Any]:
        """Sums over the grid."""
        nodes = self._state.nodes
        countries: dict[str, int] = {}
        for node in nodes:
            countries[node.location.country] = countries.get(node.location.country, 0) + 1
        return {
            "nodes": len(nodes),
            "farms": len(self._state.farms),
            "countries": len(countries),
            "nodesDistribution": countries,
            "totalCru": sum(node.resources.cru for node in nodes),
            "totalSru": sum(node.resources.sru for node in nodes),
            "totalMru": sum(node.resources.mru for node in nodes),
            "totalHru": sum(node.resources.hru for node in nodes),
            "publicIps": sum(len(farm.public_ips) for farm in self._state.farms),
            "accessNodes": sum(node.public_config is not None for node in nodes),
            "gateways": sum(bool(node.public_config and node.public_config.domain) for node in nodes),
            "twins": len(self._state.twins),
            "contracts": len(self._state.contracts),
            "gpus": 0,
            "dedicatedNodes": sum(self._state.rent_of(node.id) is not None for node in nodes),
        }

    def _node(self, node: Node) -> dict[str, Any]:
        farm, power = self._state.farm(node.farm_id), self._state.powers.get(node.id)
        rent = self._state.rent_of(node.id)
        dedicated = farm is not None and farm.dedicated_farm
        fee = self._state.extra_fees.get(node.id, 0)
        busy = any(
            contract.node_contract is not None and contract.node_contract.node_id == node.id
            for contract in self._state.contracts
        )
        is_up = power is None or power.is_up
        return {
            "id": f"node-{node.id}",
            "nodeId": node.id,
            "farmId": node.farm_id,
            "farmName": farm.name if farm else "",
            "twinId": node.twin_id,
            "gridVersion": GRID_VERSION,
            "country": node.location.country,
            "city": node.location.city,
            "created": node.created,
            "updatedAt": node.created,
            "farmingPolicyId": node.farming_policy_id,
            "total_resources": asdict(node.resources),
            "used_resources": asdict(self._state.used_on(node.id)),
            "location": {
                "country": node.location.country,
                "city": node.location.city,
                "longitude": _degrees(node.location.longitude),
                "latitude": _degrees(node.location.latitude),
            },
            "publicConfig": _public_config(node),
            "status": "up" if is_up else "standby",
            "healthy": is_up,
            "power": {
                "state": "Up" if is_up else "Down",
                "target": "Up" if power is None or power.wanted_up else "Down",
            },
            "certificationType": node.certification,
            "dedicated": dedicated or rent is not None,
            "inDedicatedFarm": dedicated,
            "rentContractId": rent.contract_id if rent else 0,
            "rentedByTwinId": owner_of(rent),
            "rented": rent is not None,
            "rentable": rent is None and not busy,
            "serialNumber": node.serial_number or "",
            "num_gpu": 0,
            "gpus": [],
            "extraFee": fee,
            "farmFreeIps": sum(address.is_free for address in farm.public_ips) if farm else 0,
            "features": self._features,
        }

    def _farm(self, farm: Farm) -> dict[str, Any]:
        return {
            "name": farm.name,
            "farmId": farm.id,
            "twinId": farm.twin_id,
            "pricingPolicyId": farm.pricing_policy_id,
            "certificationType": farm.certification,
            "stellarAddress": self._state.payout_addresses.get(FarmId(farm.id), ""),
            "dedicated": farm.dedicated_farm,
            "publicIps": [
                {
                    "id": f"{farm.id}-{number}",
                    "ip": address.ip,
                    "farm_id": farm.id,
                    "contract_id": address.contract_id,
                    "gateway": address.gateway,
                }
                for number, address in enumerate(farm.public_ips)
            ],
        }

    def _contract(self, contract: Contract) -> dict[str, Any]:
        kind, details = contract_details(contract, self._state)
        return {
            "contract_id": contract.contract_id,
            "twin_id": contract.twin_id,
            "state": contract.state.value,
            "created_at": 0,
            "type": kind,
            "details": details,
        }

    def _matches_node(self, shown: Mapping[str, Any], query: Query) -> bool:
        total, used = shown["total_resources"], shown["used_resources"]
        at_least: dict[str, float] = {
            "free_mru": total["mru"] - used["mru"],
            "free_sru": total["sru"] - used["sru"],
            "free_hru": total["hru"] - used["hru"],
            "total_cru": total["cru"],
            "total_mru": total["mru"],
            "total_sru": total["sru"],
            "total_hru": total["hru"],
            "free_ips": shown["farmFreeIps"],
        }
        if any(
            (wanted := _number(query, key)) is not None and wanted > have for key, have in at_least.items()
        ):
            return False
        if not _equal(query, {"node_id": shown["nodeId"], "twin_id": shown["twinId"]}):
            return False
        if not _listed(query, "farm_ids", shown["farmId"]) or not _listed(query, "farm_id", shown["farmId"]):
            return False
        texts = {"country": shown["country"], "city": shown["city"], "farm_name": shown["farmName"]}
        if any(key in query and query[key].casefold() != text.casefold() for key, text in texts.items()):
            return False
        statuses = [part for part in query.get("status", "").split(",") if part]
        wanted_features = {part for part in query.get("features", "").split(",") if part}
        truths: dict[str, bool] = {
            "rentable": shown["rentable"],
            "rented": shown["rented"],
            "dedicated": shown["dedicated"],
            "in_dedicated_farm": shown["inDedicatedFarm"],
            "healthy": shown["healthy"],
            "ipv4": bool(shown["publicConfig"]["ipv4"]),
            "ipv6": bool(shown["publicConfig"]["ipv6"]),
            "domain": bool(shown["publicConfig"]["domain"]),
            "has_gpu": False,
        }
        if any((wanted := _truth(query, key)) is not None and wanted != have for key, have in truths.items()):
            return False
        tenant = _number(query, "available_for")
        is_taken = shown["rented"] or shown["inDedicatedFarm"]
        if tenant is not None and is_taken and shown["rentedByTwinId"] != tenant:
            return False
        return (not statuses or shown["status"] in statuses) and wanted_features <= set(shown["features"])


def contract_details(contract: Contract, state: Snapshot) -> tuple[str, dict[str, Any]]:
    """Kind of a contract, and what is said of that kind."""
    match contract.content:
        case NodeContract() as made:
            node = next((each for each in state.nodes if each.id == made.node_id), None)
            farm = state.farm(node.farm_id) if node else None
            return "node", {
                "nodeId": made.node_id,
                "deployment_data": made.deployment_data.decode("utf-8", "replace"),
                "deployment_hash": made.deployment_hash,
                "number_of_public_ips": made.public_ips,
                "farmId": farm.id if farm else 0,
                "farmName": farm.name if farm else "",
            }
        case NameContract(name):
            return "name", {"name": name}
    return "rent", {"nodeId": contract.content.node_id}


def _twin(twin: Twin) -> dict[str, Any]:
    return {
        "twinId": twin.id,
        "accountId": twin.address,
        "relay": twin.relay or "",
        "publicKey": "0x" + twin.pk.hex() if twin.pk else "",
    }


def _public_config(node: Node) -> dict[str, str]:
    config = node.public_config
    if config is None:
        return dict.fromkeys(("domain", "gw4", "gw6", "ipv4", "ipv6"), "")
    return {
        "domain": config.domain or "",
        "gw4": config.ip4.gw,
        "ipv4": config.ip4.ip,
        "gw6": config.ip6.gw if config.ip6 else "",
        "ipv6": config.ip6.ip if config.ip6 else "",
    }


def _matches_farm(farm: Farm, query: Query) -> bool:
    numbers = {"farm_id": farm.id, "twin_id": farm.twin_id, "pricing_policy_id": farm.pricing_policy_id}
    free = _number(query, "free_ips")
    return (
        _equal(query, numbers)
        and query.get("name", farm.name).casefold() == farm.name.casefold()
        and query.get("name_contains", "").casefold() in farm.name.casefold()
        and _truth(query, "dedicated") in (None, farm.dedicated_farm)
        and (free is None or sum(address.is_free for address in farm.public_ips) >= free)
    )


def _matches_contract(shown: Mapping[str, Any], query: Query) -> bool:
    numbers = {"contract_id": shown["contract_id"], "twin_id": shown["twin_id"]}
    states = [part.casefold() for part in query.get("state", "").split(",") if part]
    details = shown["details"]
    return (
        _equal(query, numbers)
        and _number(query, "node_id") in (None, details.get("nodeId"))
        and query.get("type", shown["type"]) == shown["type"]
        and query.get("name", details.get("name")) == details.get("name")
        and (not states or shown["state"].casefold() in states)
    )


def _page(found: Sequence[dict[str, Any]], query: Query) -> tuple[list[dict[str, Any]], int]:
    size = _number(query, "size")
    size = DEFAULT_SIZE if size is None else min(size, LARGEST_SIZE)
    first = (max(1, _number(query, "page") or 1) - 1) * size
    return list(found[first : first + size]), len(found)


def _number(query: Query, key: str) -> int | None:
    text = query.get(key, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise BadQuery(f"{key}={text!r} is no number")
    return int(text)


def _truth(query: Query, key: str) -> bool | None:
    text = query.get(key, "")
    if not text:
        return None
    if text not in ("true", "false"):
        raise BadQuery(f"{key}={text!r} is neither true nor false")
    return text == "true"


def _equal(query: Query, numbers: Mapping[str, int]) -> bool:
    return all(_number(query, key) in (None, number) for key, number in numbers.items())


def _listed(query: Query, key: str, number: int) -> bool:
    """Whether a list of numbers, if one is given, has the number."""
    wanted: Iterable[str] = [part for part in query.get(key, "").split(",") if part]
    numbers = [_number({key: part}, key) for part in wanted]
    return not numbers or number in numbers


def _degrees(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
