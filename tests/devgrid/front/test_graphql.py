"""What the graphql service answers, to the queries of existing clients and to nonsense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from graphql import validate_schema

from devgrid.front import entities
from devgrid.front.entities import Row
from devgrid.front.graphql import Service
from tests.devgrid.front.state import STATE


async def _rows(entity: str, where: Mapping[str, Any]) -> Sequence[Row]:
    if entity == "ContractBillReport":
        number = where["contractID_eq"]
        return [{"contractID": number, "discountReceived": "Gold", "amountBilled": 5, "timestamp": 7}]
    return entities.rows(entity, STATE)


SERVICE = Service(_rows)


async def ask(query: str, **variables: Any) -> Any:
    answer = await SERVICE.answer({"query": query, "variables": variables})
    assert "errors" not in answer, answer
    return answer["data"]


def test_the_schema_is_sound() -> None:
    assert validate_schema(SERVICE.schema) == []


def test_every_row_has_exactly_the_fields_that_the_schema_promises() -> None:
    for entity, shape in entities.SHAPES.items():
        for row in entities.rows(entity, STATE):
            assert row.keys() == shape.keys(), entity


async def test_existing_clients_get_their_answers() -> None:
    assert await ask("query { __typename }") == {"__typename": "Query"}
    twin = "query q($nodeId: Int!){ nodes(where: { nodeID_eq: $nodeId }) { twinID } }"
    assert await ask(twin, nodeId=2) == {"nodes": [{"twinID": 12}]}
    assert await ask(twin, nodeId=9) == {"nodes": []}
    count = "query { items: farmsConnection(orderBy: farmID_ASC) { count: totalCount } }"
    assert await ask(count) == {"items": {"count": 2}}
    state = "where: {twinID_eq: 2, state_in: [Created, GracePeriod]}"
    mine = (
        f"query q($n: Int!) {{ nodeContracts({state}, limit: $n) {{ contractID state nodeID createdAt }} }}"
    )
    assert await ask(mine, n=5) == {
        "nodeContracts": [{"contractID": "1", "state": "Created", "nodeID": 1, "createdAt": None}]
    }
    both = (
        'query { nodeContracts(where: {AND: [{deploymentData_contains: "\\"type\\":\\"vm\\""}, '
        '{deploymentData_contains: "nope"}]}) { contractID } }'
    )
    assert await ask(both) == {"nodeContracts": []}
    bills = (
        "query q($id: BigInt!) { contractBillReports(where: {contractID_eq: $id}, orderBy: timestamp_DESC, limit: 1)"
        " { discountReceived amountBilled } }"
    )
    assert await ask(bills, id=3) == {
        "contractBillReports": [{"discountReceived": "Gold", "amountBilled": "5"}]
    }


async def test_lists_are_sorted_cut_and_joined_by_or() -> None:
    assert await ask("{ nodes(orderBy: [farmID_DESC, nodeID_ASC], limit: 2) { nodeID } }") == {
        "nodes": [{"nodeID": 3}, {"nodeID": 1}]
    }
    assert await ask("{ nodes(offset: 2) { nodeID publicConfig { domain } interfaces { ips } } }") == {
        "nodes": [{"nodeID": 3, "publicConfig": None, "interfaces": [{"ips": "10.5.0.2"}]}]
    }
    assert await ask("{ farms(where: {farmID_eq: 1, OR: [{farmID_eq: 2}]}) { name } }") == {
        "farms": [{"name": "DevFarm"}, {"name": "rented"}]
    }
    assert await ask(
        '{ farms(where: {name_containsInsensitive: "dev"}) { publicIPs { ip contractId } } }'
    ) == {
        "farms": [
            {
                "publicIPs": [
                    {"ip": "185.206.122.33/24", "contractId": "1"},
                    {"ip": "185.206.122.34/24", "contractId": "0"},
                ]
            }
        ]
    }
    assert await ask("{ twins(where: {publicKey_isNull: true}) { twinID } }") == {"twins": [{"twinID": 2}]}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (None, "a request is a JSON object"),
        ({"query": 5}, "a request is a JSON object"),
        ({"query": "{ nodes { nodeID } }", "variables": []}, "`variables` is an object"),
        ({"query": "{ nodes {"}, "Syntax Error"),
        ({"query": "{ cats { name } }"}, "Cannot query field 'cats'"),
        ({"query": "{ nodes(where: {nodeID_like: 1}) { nodeID } }"}, "nodeID_like"),
        ({"query": "{" * 3000}, "too many tokens|Document contains more|Syntax Error"),
        (
            {"query": "{" + " ".join(f"a{n}: nodes {{ nodeID }}" for n in range(60)) + "}"},
            "50 queries at most",
        ),
        ({"query": "{ nodeContracts(where: {contractID_eq: true}) { contractID } }"}, "BigInt"),
    ],
)
async def test_nonsense_gets_an_error_that_says_what_is_wrong(request_: Any, reason: str) -> None:
    answer = await SERVICE.answer(request_)
    assert answer.get("data") is None
    assert re.search(reason, answer["errors"][0]["message"]), answer
