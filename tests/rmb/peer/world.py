"""Two twins with a Redis and a peer each, on loopback addresses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from gridtypes import TwinId
from rmb import queues
from rmb.gen1.message import Message
from rmb.gen1.signature import sign
from rmb.peer import daemon
from rmb.peer.config import (
    IdentitySection,
    LimitsSection,
    ListenSection,
    PeerConfig,
    RedisSection,
    TwinsSection,
)
from rmb.peer.directory import StaticDirectory, TwinDirectory
from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.blocking_pop import blocking_pop
from tfchain.keys import Identity


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Twin:
    """One side of the world."""

    id: TwinId
    identity: Identity
    redis: str
    address: str

    @classmethod
    def make(cls, number: int, database: int, redis_socket: str) -> Twin:
        # One server, a database each, by way of TCP-free URLs.
        redis = f"unix://{redis_socket}?db={database}"
        return cls(TwinId(number), Identity.generate(), redis, f"127.0.0.1:{free_port()}")

    def link(self) -> RedisLink:
        return RedisLink(RedisAddress.parse(self.redis))

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def sign(self, message: Message) -> Message:
        return replace(message, signature=sign(message.challenge(), self.identity))


def directory_of(*twins: Twin) -> StaticDirectory:
    return StaticDirectory({twin.id: twin.identity.public_key for twin in twins})


def config_of(twin: Twin, *others: Twin, limits: LimitsSection | None = None) -> PeerConfig:
    return PeerConfig(
        redis=RedisSection(url=twin.redis),
        identity=IdentitySection(key_file=Path("/nonexistent"), twin=twin.id),
        twins=TwinsSection(addresses={other.id: other.address for other in (twin, *others)}),
        listen=ListenSection(addresses=(twin.address,)),
        limits=limits or LimitsSection(),
    )


@asynccontextmanager
async def running(
    twin: Twin, *others: Twin, directory: TwinDirectory | None = None, limits: LimitsSection | None = None
) -> AsyncIterator[None]:
    """The peer of `twin`, which knows `others`."""
    config = config_of(twin, *others, limits=limits)
    peer = asyncio.create_task(
        daemon.serve(config, twin.identity, directory or directory_of(twin, *others), twin.id)
    )
    try:
        await until_listening(twin.address)
        yield
    finally:
        peer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await peer


async def until_listening(address: str, timeout: float = 60) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(timeout):
        while True:
            try:
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def request_of(source: Twin, destination: Twin, command: str = "a.b", **changes: Any) -> Message:
    """A request as it stands on the wire, signed."""
    message = Message(
        uid=f"{destination.id}.1",
        command=command,
        expiration=30,
        source=source.id,
        destinations=(destination.id,),
        reply_to=queues.REPLY,
        now=int(time.time()),
        data="bnVsbA==",
    )
    return source.sign(replace(message, **changes))


async def post(twin: Twin, path: str, body: bytes | Message) -> tuple[int, str]:
    """(status, body) of the answer of the twin's peer."""
    raw = body.to_json() if isinstance(body, Message) else body
    async with aiohttp.ClientSession() as session, session.post(f"{twin.url}{path}", data=raw) as response:
        return response.status, await response.text()


def error_in(body: str) -> str:
    value = json.loads(body)
    assert list(value) == ["Status", "Message"]
    assert value["Status"] == "error"
    return str(value["Message"])


async def pop(link: RedisLink, queue: str, timeout: float = 60) -> Message:
    return Message.from_json(await blocking_pop(link, queue, timeout))


async def serve_echo(link: RedisLink, command: str = "a.b") -> None:
    """A service as anybody would write one: pop, swap, push."""
    while True:
        request = await pop(link, queues.command(command), timeout=600)
        reply = request.reply(int(time.time()), request.payload())
        await link.command("LPUSH", queues.REPLY, reply.to_json())
