"""Every command with every kind of caller, over a real Redis; who may call what is derived from the table."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import rmb
from client.node_client import NodeClient
from gridtypes import Deployment
from tests.shared import report_count
from tests.zosd.parts import TWIN, full
from tests.zosd.test_process import Bus, configuration, known, redis_socket, running
from zosd.api.table import COMMANDS, GUARDED, NOT_FOUND, UNAUTHORIZED, Who
from zosd.chainlife.notes import FARMER as FARMER_NOTE
from zosd.journal.changes import PutNote
from zosd.journal.journal import Journal

FARMER, ADMIN, STRANGER = 3, 9, 77

__all__ = ["redis_socket"]


async def node(folder: Path, redis: str, light: bool = False) -> Path:
    """The configuration of a node that knows itself, its farmer and a user."""
    await known(folder)
    journal = Journal(folder / "state" / "journal.db")
    await journal.open()
    await journal.commit("x", [PutNote(FARMER_NOTE, str(FARMER).encode())])
    await journal.close()
    file = configuration(folder, redis, "[capacity]\ncru = 8\nmru = 34359738368\n")
    extra = f'null = true\nadmins = [{ADMIN}]\ncountry = "Belgium"\ncity = "Gent"\ncountry_code = "BE"\n'
    extra += 'longitude = "3.72"\nlatitude = "51.05"\n' + ("light = true\n" if light else "")
    file.write_text(file.read_text().replace("null = true\n", extra))
    return file


@pytest.fixture
async def classic(tmp_path: Path, redis_socket: str) -> AsyncIterator[Bus]:
    async with running(await node(tmp_path, redis_socket), redis_socket) as (_, bus):
        yield bus


@pytest.fixture
async def light(tmp_path: Path, redis_socket: str) -> AsyncIterator[Bus]:
    async with running(await node(tmp_path, redis_socket, light=True), redis_socket) as (_, bus):
        yield bus


async def said(bus: Bus, command: str, twin: int) -> str:
    """The error's text; "" for an answer."""
    try:
        await bus.call(f"zos.{command}", twin=twin)
    except RuntimeError as error:
        return str(error)
    return ""


def names(is_light: bool = False) -> dict[str, Who]:
    """Every name that is served, aliases too."""
    return {
        name: command.who
        for each, command in COMMANDS.items()
        if command.light or not is_light
        for name in (each, *command.aliases)
    }


async def test_every_command_asks_who_calls(classic: Bus) -> None:
    callers = {FARMER: Who.FARMER, ADMIN: Who.ADMIN, STRANGER: None, TWIN: None}
    compared = 0
    for name, who in names().items():
        for twin, role in callers.items():
            text = await said(classic, name, twin)
            may = who in (Who.ANY, Who.OWNER) or who is role
            assert (text == UNAUTHORIZED) is not may, f"{name} from twin {twin}: {text!r}"
            assert text != NOT_FOUND, name
            compared += 1
    report_count("commands with callers", compared)


async def test_a_guarded_section_tells_strangers_nothing(classic: Bus) -> None:
    for section, who in GUARDED.items():
        right = FARMER if who is Who.FARMER else ADMIN
        for wrong in {FARMER, ADMIN, STRANGER} - {right}:
            assert await said(classic, f"{section}.nope", wrong) == UNAUTHORIZED
        assert await said(classic, f"{section}.nope", right) == NOT_FOUND
    # What stands below a guarded section needs that very caller.
    for name, who in names().items():
        for section, guard in GUARDED.items():
            assert not name.startswith(f"{section}.") or who is guard, name


async def test_names_that_are_never_served(classic: Bus) -> None:
    for name in ("network.public_config_set", "logs.vm", "does.not.exist", "admin_reboot"):
        for twin in (STRANGER, FARMER, ADMIN):
            assert await said(classic, name, twin) == NOT_FOUND, name


async def test_commands_without_input_take_whatever_is_sent(classic: Bus) -> None:
    for payload in (b"null", b'""', b""):
        assert await classic.call("zos.perf.get_all", raw=payload) == []
        assert await classic.call("zos.gpu.list", raw=payload) == []
        listed = await classic.call("zos.debug.deployment.list", raw=payload, twin=ADMIN)
        assert listed == {"deployments": []}


async def test_what_the_new_commands_answer(classic: Bus) -> None:
    where = await classic.call("zos.location.get")
    assert where == {
        "longitude": 3.72,
        "latitude": 51.05,
        "continent": "Unknown",
        "country_name": "Belgium",
        "country_code": "BE",
        "city_name": "Gent",
    }
    state = await classic.call("zos.system.diagnostics")
    assert (state["system_status_ok"], state["healthy"]) == (True, False)
    assert {"storage", "node", "vmd", "network", "provision"} <= state["modules"].keys()
    assert all("error" not in module for module in state["modules"].values())
    for spelling in ("name", "Name"):
        assert await classic.refusal("zos.perf.get", {spelling: "cpu-benchmark"}) == "result not found"
    assert (await classic.refusal("zos.perf.get", raw=b"{")).startswith("failed to unmarshal payload [123]: ")
    for prefix in ("zos.admin", "zos.network.admin"):
        nics = await classic.call(f"{prefix}.interfaces", twin=FARMER)
        assert nics == {"zos": {"ips": [], "mac": "02:00:00:00:00:00"}}
        assert await classic.call(f"{prefix}.set_public_nic", "zos", twin=FARMER) is None
        assert await classic.call(f"{prefix}.get_public_nic", twin=FARMER) == {
            "is_single": True,
            "is_dual": False,
            "dual_interface": "",
        }
        refused = await classic.refusal(f"{prefix}.set_public_nic", {"nic": "zos"}, twin=FARMER)
        assert refused.startswith("failed to decode input, expecting string")
        assert "Link not found" in await classic.refusal(f"{prefix}.set_public_nic", "eth9", twin=FARMER)


async def test_the_doctor_tells_the_farmer(classic: Bus) -> None:
    found = {one["subject"]: one for one in await classic.call("zos.admin.doctor", twin=FARMER)}
    assert not found["chain"]["ok"]
    assert "set urls" in found["chain"]["remedy"]
    assert found["chain"]["since"] > 0
    assert found["journal"]["ok"]
    assert found["bus"]["ok"]
    assert found["jobs"]["ok"]
    again = {one["subject"]: one for one in await classic.call("zos.admin.doctor", twin=FARMER)}
    assert again["chain"]["since"] == found["chain"]["since"]


async def test_debugging_shows_everything_but_secrets(classic: Bus) -> None:
    await classic.call("zos.deployment.deploy", raw=full().to_json())
    (listed,) = (await classic.call("zos.debug.deployment.list", twin=ADMIN))["deployments"]
    assert (listed["twin_id"], listed["contract_id"]) == (TWIN, 1000)
    assert await classic.call("zos.debug.deployment.list", {"twin_id": 5}, twin=ADMIN) == {"deployments": []}
    name = f"{TWIN}:1000"
    shown = await classic.call("zos.debug.deployment.get", {"deployment": name}, twin=ADMIN)
    (net,) = [one for one in shown["deployment"]["workloads"] if one["type"] == "network"]
    assert net["data"]["wireguard_private_key"] == "<hidden>"
    assert "a2tra2" not in json.dumps(shown)
    history = await classic.call("zos.debug.deployment.history", {"deployment": name}, twin=ADMIN)
    assert [one["seq"] for one in history["history"]] == [1, 2, 3, 4]
    info = await classic.call(
        "zos.debug.deployment.info", {"deployment": name, "workload": "vm1"}, twin=ADMIN
    )
    assert info["workload_id"] == f"{TWIN}-1000-vm1"
    health = await classic.call(
        "zos.debug.deployment.health",
        {"deployment": name, "options": {"system_probe": "uptime"}},
        twin=ADMIN,
    )
    assert [one["workload_id"] for one in health["workloads"]] == [
        f"{TWIN}-1000-vm1",
        f"{TWIN}-1000-net1",
        "system",
    ]
    # No chain was there, so nothing was made.
    assert [one["status"] for one in health["workloads"]] == ["unhealthy", "unhealthy", "healthy"]


MISUNDERSTOOD: tuple[tuple[str, Any, str], ...] = (
    ("get", {}, "deployment identifier is required"),
    ("get", {"deployment": "1"}, "invalid deployment format: expected 'twin-id:contract-id', got '1'"),
    ("get", {"deployment": "x:1"}, "invalid twin ID: x: "),
    ("get", {"deployment": "1:x"}, "invalid contract ID: x: "),
    ("get", {"deployment": "1:1"}, "failed to get deployment: "),
    ("health", {}, "deployment is required when system_probe is not specified"),
)


async def test_debugging_says_what_it_does_not_understand(classic: Bus) -> None:
    for command, payload, text in MISUNDERSTOOD:
        refusal = await classic.refusal(f"zos.debug.deployment.{command}", payload, twin=ADMIN)
        assert refusal.startswith(text), refusal


async def test_a_probe_is_no_shell(classic: Bus, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for line in (f"touch {mark}", f"uptime; touch {mark}", "/bin/sh", "uptime --help"):
        answer = await classic.call(
            "zos.debug.deployment.health", {"options": {"system_probe": line}}, twin=ADMIN
        )
        (check,) = answer["workloads"][0]["checks"]
        assert not check["ok"]
        assert "there are: disks, links" in check["message"]
    assert not mark.exists()


async def test_a_light_node_differs_as_it_should(light: Bus) -> None:
    features = await light.call("zos.system.node_features_get")
    assert {"zmachine-light", "network-light", "zmount"} <= set(features)
    assert not {"zmachine", "network", "ip", "gateway-name-proxy", "yggdrasil"} & set(features)
    assert await light.call("zos.network.interfaces") == {"zos": []}
    assert await light.call("zos.network.has_ipv6") is False
    assert await light.refusal("zos.network.public_config_get") == (
        "failed to load public config: no public configuration"
    )
    for prefix in ("zos.admin", "zos.network.admin"):
        assert await light.refusal(f"{prefix}.get_public_nic", twin=FARMER) == "not supported"
        assert await light.refusal(f"{prefix}.set_public_nic", "zos", twin=FARMER) == "not supported"
        refused = await light.refusal(f"{prefix}.set_public_nic", 7, twin=FARMER)
        assert refused.startswith("failed to decode input")
    for name, command in COMMANDS.items():
        text = await said(light, name, ADMIN)
        assert (text == NOT_FOUND) is not command.light, f"{name}: {text}"
    refusal = await light.refusal("zos.deployment.deploy", raw=full().to_json())
    assert "is not supported by this node" in refusal


class Recording:
    """A bus that only writes down what would be called."""

    def __init__(self) -> None:
        self.called: set[str] = set()

    async def call(self, twin: int, command: str, payload: Any = None, timeout: float = 30.0) -> Any:
        self.called.add(command)
        raise rmb.RemoteError("not asked")


async def test_the_client_has_them_all() -> None:
    bus = Recording()
    client = NodeClient(7, bus)
    arguments = {
        "deployment": Deployment(),
        "contract": 1,
        "network": "n",
        "interface": "zos",
        "name": "iperf",
        "workload": "w",
    }
    for name, method in inspect.getmembers(client, inspect.iscoroutinefunction):
        if name.startswith("_"):
            continue
        wanted = [
            one for one in inspect.signature(method).parameters.values() if one.default is inspect._empty
        ]
        values = [
            "1:2" if name.startswith("debug") and o.name == "deployment" else arguments[o.name]
            for o in wanted
        ]
        with pytest.raises(rmb.RemoteError):
            await method(*values)
    assert bus.called == {f"zos.{name}" for name in COMMANDS}
