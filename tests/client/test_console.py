"""A line is typed into a console over a websocket, and what it printed comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType, web

from client.console import open_console, talk
from client.errors import ClientError, NotFound
from client.grid_client import GridClient
from client.machine_console import machine_console
from tests.client.files import pair


@pytest.fixture
async def console() -> AsyncIterator[str]:
    """`host:port` of a console that echoes what is typed, wrapped as a terminal does, and runs it in a shell."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            if message.type is not WSMsgType.TEXT:
                continue
            line: str = message.data
            await answer.send_bytes(
                "\r\n".join(line[at : at + 20] for at in range(0, len(line), 20)).encode()
            )
            if "hang up" in line:
                await answer.close()
                break
            shell = await asyncio.create_subprocess_exec("sh", "-c", line, stdout=asyncio.subprocess.PIPE)
            output, _ = await shell.communicate()
            await answer.send_bytes(output.replace(b"\n", b"\r\n"))
        return answer

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_output_of_a_line_and_nothing_else(console: str) -> None:
    async with open_console(console, None) as connection:
        assert await talk(connection, "echo one; echo two") == "one\ntwo"
        assert await talk(connection, "true") == ""


async def test_a_line_that_does_not_end_says_what_was_seen(console: str) -> None:
    async with open_console(console, None) as connection:
        with pytest.raises(
            ClientError, match=r"did not finish 'echo early; exit' within .* it showed: .*early"
        ):
            await talk(connection, "echo early; exit", limit=2.0)


async def test_a_console_that_the_node_closes_says_so(console: str) -> None:
    async with open_console(console, None) as connection:
        with pytest.raises(ClientError, match="was closed by the node during 'hang up'"):
            await talk(connection, "hang up", limit=30)


async def test_a_console_that_is_away_is_named() -> None:
    with pytest.raises(ClientError, match=r"console 127\.0\.0\.1:1 cannot be reached"):
        async with open_console("127.0.0.1:1", None):
            pass


async def test_an_unknown_machine_tells_which_there_are(client: GridClient) -> None:
    await client.deploy(pair(), timeout=5)
    with pytest.raises(NotFound, match="no machine 'vm3' in this deployment; there are: vm1, vm2"):
        async with machine_console(client, "pair", "vm3"):
            pass


async def test_a_machine_without_a_console_says_its_state(client: GridClient) -> None:
    await client.deploy(pair(), timeout=5)
    with pytest.raises(ClientError, match="vm1 has no console yet: ok"):
        async with machine_console(client, "pair", "vm1"):
            pass
