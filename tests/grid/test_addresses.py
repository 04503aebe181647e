"""Public addresses that go from one machine to another."""

from __future__ import annotations

import asyncio

import pytest

from client.grid_client import GridClient
from gridtypes.results import PublicIPResult
from tests.grid.conftest import User
from tests.grid.files import one_node

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_neighbours_learn_at_once_who_has_an_address_now(user: User) -> None:
    async def occupy(client: GridClient, name: str) -> str:
        """The public address of a machine."""
        placed = await client.deploy(one_node(name))
        front = next(found for one in placed if one.deployment and (found := one.deployment.find("front")))
        result = front.load_result()
        assert isinstance(result, PublicIPResult)
        return result.ip.partition("/")[0]

    async def work(client: GridClient) -> None:
        address = await occupy(client, "tenant")
        # One ping would end with the gateway's "unreachable", which comes while the machine still boots.
        await asyncio.to_thread(
            user.exec, "inet", "sh", "-c", f"until ping -c1 -W1 {address}; do sleep 0.2; done"
        )
        before = await _known_mac(user, address)
        await client.cancel("tenant")
        assert await occupy(client, "heir") == address
        # Nobody asks for the address here: the gateway can only know from what the machine says by itself.
        while await _known_mac(user, address) == before:
            await asyncio.sleep(0.2)
        await client.cancel("heir")

    user.run(work)


async def _known_mac(user: User, address: str) -> str:
    """The MAC that the farm's gateway sends an address's packets to."""
    shown = await asyncio.to_thread(user.exec, "grid", "ip", "neigh", "show", address)
    return shown.split("lladdr ")[1].split()[0]
