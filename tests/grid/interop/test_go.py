"""Unmodified Go clients against a node of the development grid, compared with our own client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client.grid_client import GridClient
from devgrid import configs, layout
from devgrid.launcher import Grid
from tests.grid.conftest import User
from tests.interop.building import confined, go
from tfchain import key_file

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]

NOT_FOUND = "function is not found"
LIFE_S = 300.0


async def _ours(client: GridClient) -> dict[str, Any]:
    """What our own client says of the same node."""
    node = await client.node(1)
    counters = await node.counters()
    return {
        "version": (await node.system_version()).zos,
        "hypervisor": await node.system_hypervisor(),
        "total": counters.total.mru,
        "pools": [pool.size for pool in await node.pools()],
        "ports": await node.network_list_wg_ports(),
        "public ips": await node.network_list_public_ips(),
        "ipv6": await node.has_public_ipv6(),
        "deployments": len(await node.deployment_list()),
        "features": await node.system_get_node_features(),
    }


def test_go_node_client(grid: Grid, user: User) -> None:
    folder = go("go-node")
    seed = key_file.read(grid.layout.user_key).removeprefix("ed25519:")
    twin = grid.status()["nodes"][0]["twin"]
    shown = user.exec(
        "client",
        *confined(str(folder / "interop")),
        f"ws://{layout.RELAY_HOST}",
        seed,
        grid.layout.chain_url,
        str(twin),
        limit=LIFE_S,
    )
    answers: dict[str, Any] = json.loads(shown.splitlines()[-1])
    values = {name: one["value"] for name, one in answers.items() if not one["error"]}
    errors = {name: one["error"] for name, one in answers.items() if one["error"]}

    expected = user.run(_ours)
    assert values["version"]["zos"] == expected["version"]
    assert values["hypervisor"] == expected["hypervisor"]
    assert values["counters"]["total"]["mru"] == expected["total"]
    assert [pool["size"] for pool in values["pools"]] == expected["pools"]
    assert values["ports"] == expected["ports"]
    assert (values["public ips"] or []) == expected["public ips"]
    assert values["ipv6"] == expected["ipv6"]
    assert values["deployments"] == expected["deployments"]
    # The front of the grid tells from the configuration what the node says of itself.
    assert set(expected["features"]) - set(configs.FEATURES) <= {"kvm", "tcg"}
    assert set(configs.FEATURES) <= set(expected["features"])
    assert "zos" in values["interfaces"]
    assert errors["public config"] == "no public configuration"
    assert {name for name, text in errors.items() if NOT_FOUND in text} == set()
    assert {"get", "changes", "delete"} <= errors.keys()
    assert values["at once"] == 20
    assert "life" not in errors, errors["life"]
    assert (values["deployed"], values["updated"], values["cancelled"]) == ("ok", "ok", True)
    assert values["history"] >= 2
    assert "hash" in errors["deploy of another hash"]
    assert "signature" in errors["deploy unsigned"]
    assert values["key on the chain"] is False
    assert values["version without a key"]["zos"] == expected["version"]


def test_go_client_of_2022(grid: Grid, user: User) -> None:
    """Generation 1: it knows the Redis of its local peer alone."""
    folder = go("go-gen1")
    twin = grid.status()["nodes"][0]["twin"]
    redis = str(grid.layout.client_redis)
    user.exec("grid", "chmod", "666", redis)  # the program runs as nobody
    try:
        shown = user.exec(
            "client", *confined(str(folder / "interop")), f"unix://{redis}", str(twin), limit=LIFE_S
        )
    finally:
        user.exec("grid", "chmod", "600", redis)
    answers: dict[str, Any] = json.loads(shown.splitlines()[-1])
    values = {name: one["value"] for name, one in answers.items() if not one["error"]}
    errors = {name: one["error"] for name, one in answers.items() if one["error"]}

    expected = user.run(_ours)
    assert values["version"]["zos"] == expected["version"]
    assert values["hypervisor"] == expected["hypervisor"]
    assert values["total"]["mru"] == expected["total"]
    assert (values["ports"], values["ipv6"]) == (expected["ports"], expected["ipv6"])
    assert values["interfaces"] is True
    assert values["at once"] == 20
    assert errors.keys() == {"get", "unknown"}
    assert "not found" in errors["get"]
    assert errors["unknown"] == "function is not found"
