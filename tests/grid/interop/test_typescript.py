"""The unmodified TypeScript clients against the development grid: calls over its relay, a machine through its front."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from client.grid_client import GridClient
from devgrid import layout
from devgrid.front.certificates import Certificates
from devgrid.launcher import Grid
from tests.grid.conftest import User
from tests.grid.files import IMAGE
from tests.interop.building import confined, node
from tfchain import Chain, Identity

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]

FUNDS = 10**11
LIFE_S = 300.0


async def _accounts(chain: Chain, count: int) -> list[str]:
    """Seeds of new accounts with a twin whose relay is the grid's: these clients cannot send without one."""
    seeds = ["0x" + secrets.token_hex(32) for _ in range(count)]
    for seed in seeds:
        key = Identity(seed, "sr25519")
        await chain.transfer(Identity("//Alice", "sr25519"), key.public_key, FUNDS)
        await chain.accept_terms(key)
        await chain.create_twin(key, layout.RELAY_HOST)
    return seeds


def test_a_machine_lives_and_goes_through_grid_client(grid: Grid, user: User) -> None:
    folder = node("js-grid")

    async def prepare(client: GridClient) -> tuple[list[str], str, int]:
        ours = await client.node(1)
        version, counters = await ours.system_version(), await ours.counters()
        return await _accounts(client.chain, 2), version.zos, counters.total.mru

    seeds, version, memory = user.run(prepare)
    twin = grid.status()["nodes"][0]["twin"]
    # A program that runs as nobody can read no file of root's, so the authority is handed over as text.
    authority = Certificates(grid.layout.front).authority.read_text()
    trusted = folder / "ca.pem"
    trusted.write_text(authority)
    command = confined(
        "env",
        f"NODE_EXTRA_CA_CERTS={trusted}",
        "node",
        str(folder / "run.mjs"),
        *seeds,
        "1",
        str(twin),
        IMAGE,
    )
    shown = user.exec("client", *command, limit=LIFE_S)
    said = [json.loads(line) for line in shown.splitlines() if line.startswith('{"step"')]
    found: dict[str, Any] = {one["step"]: one["value"] for one in said}
    machine = found.pop("machine")
    assert found.pop("connected") > 0
    assert found.pop("refused").endswith("deployment not found")
    assert found == {
        "version": version,
        "counters": memory,
        "at once": 1,
        "contracts": 1,
        "listed": ["Created", "Created"],
        "deleted": 2,
        "left": [],
    }
    assert machine["status"] == "ok"
    assert machine["ip"].startswith("10.77.")
    assert machine["mounts"] == [["tsdisk", "/data", "ok"]]
