"""`zos plan`, `--any-node`, `changes --follow`, `wg`, `node show`, `node doctor`, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

import rmb
from client import wireguard_access
from gridtypes import GIB, ResultState
from tests.client.fake_grid import FakeGrid, FakeNode
from tests.client.files import PAIR
from tests.client.test_cli import Zos, zos
from tfchain.models import Farm, Policy, PricingPolicy

__all__ = ["zos"]

ONE = """
name: one
nodes: { here: 1 }
workloads:
  - { name: data, type: zmount, node: here, size: 1 GiB }
"""
PRICE = Policy(50_000)
POLICY = PricingPolicy("p", PRICE, PRICE, PRICE, PRICE, PRICE, PRICE, b"", b"", 50)


@pytest.fixture(autouse=True)
def prices(grid: FakeGrid) -> None:
    """What the chain in memory does not know by itself."""

    async def policy(number: int) -> PricingPolicy:
        return POLICY

    async def price() -> int:
        return 50

    async def bounds() -> tuple[int, int]:
        return 10, 1000

    async def farm(number: int) -> Farm:
        return Farm(number, "f", 3, 1, "NotCertified", (), False, None)  # type: ignore[arg-type]

    async def rent(node: int) -> None:
        return None

    chain: Any = grid.chain
    chain.pricing_policy, chain.average_tft_price, chain.tft_price_bounds = policy, price, bounds
    chain.farm, chain.rent_contract = farm, rent


def test_a_plan_tells_changes_and_cost_and_pays_nothing(zos: Zos) -> None:
    (new,) = zos.json("plan", zos.file(PAIR))
    assert [node["act"] for node in new["nodes"]] == ["create", "create"]
    assert {one["kind"] for node in new["nodes"] for one in node["changes"]} == {"add"}
    assert new["monthly_usd"] > 0
    assert new["monthly_units"] == pytest.approx(new["monthly_usd"] * 20 * 10**7, rel=1e-4)
    assert zos.grid.chain.held == {}
    assert not any(entry.startswith(("create", "deploy")) for entry in zos.grid.log)
    shown = zos.run("plan", zos.file(PAIR)).stdout
    assert "a new contract" in shown
    assert "nothing was signed or paid" in shown


def test_a_plan_of_what_is_there_tells_the_difference(zos: Zos) -> None:
    zos.json("deploy", zos.file(ONE))
    (same,) = zos.json("plan", zos.file(ONE))
    assert [node["act"] for node in same["nodes"]] == ["keep"]
    (grown,) = zos.json("plan", zos.file(ONE.replace("1 GiB", "2 GiB")))
    assert [(node["act"], node["changes"][0]["kind"]) for node in grown["nodes"]] == [("update", "update")]
    other = ONE.replace("name: data", "name: other")
    (swapped,) = zos.json("plan", zos.file(other))
    assert [(one["kind"], one["workload"]) for one in swapped["nodes"][0]["changes"]] == [
        ("add", "other"),
        ("remove", "data"),
    ]
    assert len(zos.grid.chain.held) == 1


def test_any_node_goes_on_to_the_next_when_one_has_no_room(zos: Zos) -> None:
    text = "not enough space left in pools of this type ssd: 1 bytes are asked for"
    zos.grid.nodes[1].refuses = text
    *events, last = zos.json("deploy", zos.file(ONE), "--any-node")
    assert [one["node"] for one in last["deployed"]] == [2]
    assert len(zos.grid.chain.held) == 1
    elsewhere = [event for event in events if event["kind"] == "elsewhere"]
    assert all((event["node"], event["message"]) == (1, text) for event in elsewhere)


def test_without_any_node_the_file_is_kept_to(zos: Zos) -> None:
    zos.grid.nodes[1].refuses = "not enough space left in pools of this type ssd"
    result = zos.run("deploy", zos.file(ONE), "--json")
    assert result.exit_code == 1
    assert zos.grid.chain.held == {}


def test_another_refusal_is_not_tried_elsewhere(zos: Zos) -> None:
    for node in zos.grid.nodes.values():
        node.refuses = "user with twin id 7 is not verified"
    result = zos.run("deploy", zos.file(ONE), "--any-node", "--json")
    assert result.exit_code == 1
    assert result.stderr.count("is not verified") == 1
    assert sum(entry.startswith("create") for entry in zos.grid.log) == 1


def test_changes_are_followed_until_the_deployment_is_gone(zos: Zos, monkeypatch: pytest.MonkeyPatch) -> None:
    zos.json("deploy", zos.file(ONE))
    shown = zos.run("changes", "one").stdout
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d+  zmount +data +version 0  ok", shown), shown
    asked = []
    real = FakeNode.deployment_changes

    def changes(node: FakeNode, body: Any) -> Any:
        asked.append(body)
        if len(asked) > 2:
            raise rmb.RemoteError("deployment not found")
        return real(node, body)

    monkeypatch.setattr(FakeNode, "deployment_changes", changes)
    lines = zos.json("changes", "one", "--follow")
    assert [(line["name"], line["state"]) for line in lines][-1] == ("data", ResultState.OK.value)
    assert len(asked) == 3


def test_the_way_in_with_wireguard(zos: Zos, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    async def check(endpoint: str, peer: str, own: object) -> None:
        checked.append(endpoint)

    monkeypatch.setattr(wireguard_access, "check_endpoint", check)
    zos.json("deploy", zos.file(PAIR))
    text = zos.run("wg", "pair").stdout
    assert text.startswith("[Interface]\nAddress = 100.64.20.255/16, 10.20.255.1/24\nPrivateKey = ")
    assert text.count("[Peer]") == 2
    assert sorted(endpoint.partition(":")[0] for endpoint in checked) == ["10.99.1.1", "10.99.1.2"]
    (told,) = zos.json("wg", "pair", "lan", "--unchecked")
    assert told["ip_range"] == "10.20.0.0/16"
    assert len(checked) == 2
    assert "there are: lan" in zos.run("wg", "pair", "nope").stderr


def test_a_node_with_all_that_it_tells(zos: Zos) -> None:
    node: Any = zos.grid.nodes[1]
    node.storage_pools = lambda body: [{"name": "p", "type": "ssd", "size": 10 * GIB, "used": GIB}]
    node.gpu_list = lambda body: None  # as nodes in Go say that there is none
    node.system_diagnostics = lambda body: {
        "system_status_ok": False,
        "healthy": False,
        "modules": {"network": {"status": {}, "error_text": "bridge is gone"}},
    }
    (found,) = zos.json("node", "show", "1")
    assert (found["up"], found["farm"], found["farmer"], found["gpus"]) == (True, 1, 3, [])
    assert found["free"]["sru"] == 200 * GIB
    shown = zos.run("node", "show", "1").stdout
    assert "not well: network (bridge is gone)" in shown
    node.is_silent = True
    assert "does not answer" in zos.run("node", "show", "1").stdout
    assert "there is no node 9" in zos.run("node", "show", "9").stderr


def test_a_node_that_is_not_well(zos: Zos) -> None:
    node: Any = zos.grid.nodes[1]
    line = {"subject": "clock", "ok": False, "text": "90 s off", "remedy": "set it", "since": 1.8e9}
    node.admin_doctor = lambda body: [{"subject": "bus", "ok": True, "text": "answers"}, line]
    result = zos.run("node", "doctor", "1")
    assert result.exit_code == 1
    assert "BAD clock: 90 s off since 2027-01-15" in result.stdout
    assert "set it" in result.stdout

    def refuse(body: Any) -> Any:
        raise rmb.RemoteError("unauthorized")

    node.admin_doctor = refuse
    refusal = zos.run("node", "doctor", "1").stderr
    assert "node 1 tells its findings to twin 3, the farmer of farm 1, and you are twin 7" in refusal


@pytest.mark.parametrize(
    ("line", "words"), [("zos pl", {"plan"}), ("zos node ", {"show", "doctor"}), ("zos w", {"wg"})]
)
def test_the_shell_completes(line: str, words: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'zos'; from client.cli import main; main()"],
        env={
            **os.environ,
            "_ZOS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert set(done.stdout.split()) == words, done.stderr
