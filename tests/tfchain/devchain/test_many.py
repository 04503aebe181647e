"""Many at once: subscribers, and clients that do not know of each other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from tests.tfchain.client.conftest import ALICE
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain
from tfchain.keys import Identity

SUBSCRIBERS = 100
PAYMENTS = 20


async def test_a_hundred_subscribers_see_the_same_blocks(process: ChainProcess) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        sockets = [await stack.enter_async_context(http.ws_connect(process.url)) for _ in range(SUBSCRIBERS)]
        await asyncio.to_thread(process.rpc, "dev_setBlockBuildMode", "Manual")
        for socket in sockets:
            await socket.send_json({"id": 1, "method": "chain_subscribeNewHeads", "params": []})
            assert "result" in await socket.receive_json(timeout=30)
            await socket.receive_json(timeout=30)  # the present head
        await asyncio.to_thread(process.rpc, "dev_newBlock", {"count": 50})

        async def heads(socket: aiohttp.ClientWebSocketResponse) -> tuple[str, ...]:
            return tuple(
                [(await socket.receive_json(timeout=60))["params"]["result"]["number"] for _ in range(50)]
            )

        seen = await asyncio.gather(*map(heads, sockets))
        assert len(set(seen)) == 1
        assert len(set(seen[0])) == 50


async def test_two_clients_with_one_account_lose_no_payment(process: ChainProcess) -> None:
    to = Identity.generate()
    async with Chain([process.url]) as one, Chain([process.url]) as two:
        await one.transfer(ALICE, to.public_key, 10_000)

        async def pay(chain: Chain) -> None:
            for _ in range(PAYMENTS):
                await chain.transfer(ALICE, to.public_key, 10_000)

        await asyncio.gather(pay(one), pay(two))
        assert await one.balance(to.public_key) == (2 * PAYMENTS + 1) * 10_000
