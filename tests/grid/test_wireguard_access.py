"""`zos wg`: the user's own machine joins his network with a real interface in a namespace."""

from __future__ import annotations

import asyncio

import pytest

from client.errors import ClientError
from client.grid_client import GridClient
from client.tunnel import open_tunnel
from client.wireguard_access import access, configuration
from client.wireguard_key import WireGuardKey
from client.wireguard_probe import check_endpoint
from devgrid.launcher import Grid
from gridtypes.results import ZMachineResult
from tests.grid.conftest import User
from tests.grid.files import one_node

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


def test_the_users_machine_joins_and_reaches_the_guest(grid: Grid, user: User) -> None:
    async def join(client: GridClient) -> None:
        (placed,) = await client.deploy(one_node("way"))
        assert placed.deployment is not None
        vm = placed.deployment.find("vm")
        result = vm.load_result() if vm else None
        assert isinstance(result, ZMachineResult)
        plan = await access(client, "way")  # every endpoint has answered a handshake
        text = configuration(plan)
        without = "".join(line for line in text.splitlines(True) if not line.startswith("Address"))
        assert without == plan.configuration
        async with open_tunnel(plan) as tunnel:
            # The guest takes its time to come up under emulation.
            ping = tunnel.command("ping", "-c", "1", "-W", "2", result.ip)
            async with asyncio.timeout(90):
                while True:
                    process = await asyncio.create_subprocess_exec(
                        *ping, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
                    )
                    if await process.wait() == 0:
                        break
        # Who the node does not know gets no answer, and neither does who knocks at another door.
        (peer,) = plan.peers
        with pytest.raises(ClientError, match="does not answer within"):
            await check_endpoint(peer.endpoint, peer.public_key, WireGuardKey.generate())
        with pytest.raises(ClientError, match=r"does not answer within|cannot be reached"):
            await check_endpoint(peer.endpoint.rpartition(":")[0] + ":9", peer.public_key, plan.key)
        await client.cancel("way")

    user.run(join)
    assert user.left_over() == ""
