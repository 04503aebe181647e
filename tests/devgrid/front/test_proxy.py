"""What the grid proxy answers."""

from __future__ import annotations

import pytest

from devgrid.front.proxy import Answers, BadQuery
from tests.devgrid.front.state import GIB, STATE

ANSWERS = Answers(STATE, ["zmachine", "wireguard"])


def ids(**query: str) -> list[int]:
    found, _ = ANSWERS.nodes(query)
    return [node["nodeId"] for node in found]


def test_a_node_is_told_with_what_is_used_and_who_rents_it() -> None:
    (one, two, three), count = ANSWERS.nodes({})
    assert count == 3
    assert one["used_resources"] == {"hru": 0, "sru": 10 * GIB, "cru": 2, "mru": 4 * GIB}
    assert (one["farmName"], one["farmFreeIps"], one["rentable"]) == ("DevFarm", 1, False)
    assert (one["location"]["latitude"], one["location"]["longitude"]) == (51.05, None)
    assert (two["rentContractId"], two["rentedByTwinId"], two["dedicated"], two["extraFee"]) == (
        3,
        2,
        True,
        700,
    )
    assert two["publicConfig"] == {
        "domain": "g.example.org",
        "gw4": "185.206.122.1",
        "ipv4": "185.206.122.40/24",
        "gw6": "",
        "ipv6": "",
    }
    assert (three["status"], three["power"], three["inDedicatedFarm"]) == (
        "standby",
        {"state": "Down", "target": "Up"},
        True,
    )
    single = ANSWERS.node(1)
    assert single is not None
    assert single["capacity"] == {
        "total_resources": one["total_resources"],
        "used_resources": one["used_resources"],
    }
    assert ANSWERS.node(4) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"node_id": "2"}, [2]),
        ({"farm_id": "1"}, [1, 2]),
        ({"farm_ids": "2,9"}, [3]),
        ({"status": "up"}, [1, 2]),
        ({"status": "up,standby"}, [1, 2, 3]),
        ({"free_mru": str(13 * GIB)}, [2, 3]),
        ({"free_ips": "1"}, [1, 2]),
        ({"rented": "true"}, [2]),
        ({"rentable": "true"}, [3]),
        ({"domain": "true"}, [2]),
        ({"available_for": "2"}, [1, 2]),
        ({"available_for": "7"}, [1]),
        ({"features": "zmachine"}, [1, 2, 3]),
        ({"features": "zmachine,mycelium"}, []),
        ({"farm_name": "devfarm"}, [1, 2]),
        ({"country": "belgium", "twin_id": "13"}, [3]),
        ({"size": "2"}, [1, 2]),
        ({"size": "2", "page": "2"}, [3]),
    ],
)
def test_nodes_are_filtered_and_come_in_pages(query: dict[str, str], found: list[int]) -> None:
    assert ids(**query) == found


def test_the_count_is_that_of_all_pages() -> None:
    assert ANSWERS.nodes({"size": "1"})[1] == 3


@pytest.mark.parametrize("query", [{"node_id": "one"}, {"size": "-1"}, {"rented": "yes"}, {"page": "9" * 30}])
def test_what_cannot_be_understood_is_named(query: dict[str, str]) -> None:
    ((key, value),) = query.items()
    with pytest.raises(BadQuery, match=f"{key}='{value}'"):
        ANSWERS.nodes(query)


def test_farms_twins_contracts_and_sums() -> None:
    (farm,), _ = ANSWERS.farms({"name_contains": "DEV"})
    assert (farm["stellarAddress"], [one["contract_id"] for one in farm["publicIps"]]) == ("GABC", [1, 0])
    assert [one["farmId"] for one in ANSWERS.farms({"dedicated": "true"})[0]] == [2]
    (twin,), _ = ANSWERS.twins({"twin_id": "1"})
    assert (twin["relay"], twin["publicKey"]) == ("relay.devgrid", "0x" + "02" * 33)
    assert [one["type"] for one in ANSWERS.contracts({"twin_id": "2"})[0]] == ["node", "name", "rent"]
    (named,), _ = ANSWERS.contracts({"name": "site"})
    assert named["details"] == {"name": "site"}
    one = ANSWERS.contract(1)
    assert one is not None
    assert (one["details"]["farmId"], one["details"]["number_of_public_ips"]) == (1, 1)
    assert ANSWERS.contract(9) is None
    sums = ANSWERS.stats()
    assert (sums["nodes"], sums["totalCru"], sums["gateways"], sums["dedicatedNodes"]) == (3, 24, 1, 1)
