"""Names and shapes of the node's commands, as every node has them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import rmb
from client import workloads
from client.node_client import NodeClient
from gridtypes import ContractId, Deployment, TwinId

DEPLOYMENT = Deployment(
    twin_id=TwinId(7), contract_id=ContractId(9), workloads=[workloads.zmount("d", size=1)]
)
PLAIN = json.loads(DEPLOYMENT.to_json())
SHOWN = Deployment.from_json(DEPLOYMENT.to_json())


class Bus:
    """Answers everything with `value` and remembers the last call."""

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.call_made: tuple[int, str, Any, float] = (0, "", None, 0)

    async def call(self, twin: TwinId, command: str, payload: Any = None, timeout: float = 30.0) -> Any:
        self.call_made = (twin, command, payload, timeout)
        return self.value


Call = Callable[[NodeClient], Awaitable[Any]]


@pytest.mark.parametrize(
    ("call", "command", "payload", "answer", "expected"),
    [
        (lambda n: n.deployment_get(9), "zos.deployment.get", {"contract_id": 9}, PLAIN, SHOWN),
        (lambda n: n.deployment_list(), "zos.deployment.list", None, [PLAIN], [SHOWN]),
        (
            lambda n: n.deployment_changes(9),
            "zos.deployment.changes",
            {"contract_id": 9},
            PLAIN["workloads"],
            list(SHOWN.workloads),
        ),
        (lambda n: n.deployment_delete(9), "zos.deployment.delete", {"contract_id": 9}, None, None),
        (lambda n: n.network_list_wg_ports(), "zos.network.list_wg_ports", None, [4000, 5000], [4000, 5000]),
        (lambda n: n.network_list_wg_ports(), "zos.network.list_wg_ports", None, None, []),
        (lambda n: n.has_public_ipv6(), "zos.network.has_ipv6", None, True, True),
        (
            lambda n: n.network_list_public_ips(),
            "zos.network.list_public_ips",
            None,
            ["1.2.3.4/24"],
            ["1.2.3.4/24"],
        ),
        (
            lambda n: n.network_list_private_ips("lan"),
            "zos.network.list_private_ips",
            {"network_name": "lan"},
            None,
            [],
        ),
        (lambda n: n.system_hypervisor(), "zos.system.hypervisor", None, None, ""),
        (lambda n: n.system_get_node_features(), "zos.system.node_features_get", None, ["ip"], ["ip"]),
    ],
)
async def test_commands(call: Call, command: str, payload: Any, answer: Any, expected: Any) -> None:
    bus = Bus(answer)
    assert await call(NodeClient(101, bus)) == expected
    assert bus.call_made == (101, command, payload, 30.0)


@pytest.mark.parametrize("verb", ["deploy", "update"])
async def test_a_deployment_travels_byte_for_byte(verb: str) -> None:
    bus = Bus()
    await getattr(NodeClient(101, bus), f"deployment_{verb}")(DEPLOYMENT, timeout=5)
    assert bus.call_made == (101, f"zos.deployment.{verb}", DEPLOYMENT.to_json(), 5)


async def test_counters_know_more_than_they_need() -> None:
    bus = Bus(
        {
            "total": {"cru": 16, "sru": 100, "hru": 0, "mru": 50, "ipv4u": 0},
            "used": {"cru": 2, "sru": 30, "hru": 0, "mru": 60, "ipv4u": 1},
            "system": {"sru": 5},
            "users": {"deployments": 1, "workloads": 4, "last_deployment_timestamp": 1711700000},
            "open_connections": 12,
            "something": "new",
        }
    )
    counters = await NodeClient(101, bus).counters()
    assert bus.call_made[1] == "zos.statistics.get"
    assert (counters.free.sru, counters.free.mru, counters.users.workloads) == (70, 0, 4)


async def test_pools_interfaces_version_and_public_configuration() -> None:
    pool = {"name": "a", "type": "ssd", "size": 10, "used": 1}
    assert (await NodeClient(1, Bus([pool])).pools())[0].type == "ssd"
    assert await NodeClient(1, Bus(None)).pools() == []
    found = await NodeClient(1, Bus({"zos": ["10.0.0.1"], "ygg": [], "eth": ["x"]})).network_list_interfaces()
    assert found.zos == ["10.0.0.1"]
    assert (await NodeClient(1, Bus({"zos": "3.1"})).system_version()).zos == "3.1"
    public = await NodeClient(1, Bus({"ipv4": "1.2.3.4/24", "gw4": "1.2.3.1"})).network_get_public_config()
    assert (public.ipv4, public.domain) == ("1.2.3.4/24", "")


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda n: n.counters(), None),
        (lambda n: n.counters(), {"total": {"sru": "lots"}}),
        (lambda n: n.deployment_get(9), []),
        (lambda n: n.deployment_get(9), {"workloads": 5}),
        (lambda n: n.deployment_list(), {"a": 1}),
        (lambda n: n.deployment_changes(9), [5]),
        (lambda n: n.network_list_wg_ports(), "4000"),
        (lambda n: n.system_get_node_features(), [{}]),
        (lambda n: n.pools(), [{"name": "a"}]),
    ],
)
async def test_an_answer_of_another_shape_names_command_and_twin(call: Call, answer: Any) -> None:
    with pytest.raises(
        rmb.InvalidAnswer, match=r"zos\.[a-z_.]+ on twin 101: the answer has another shape"
    ) as caught:
        await call(NodeClient(101, Bus(answer)))
    assert "\n" not in str(caught.value)
