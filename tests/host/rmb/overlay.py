"""Two nodes' namespaces with a cable between them, and peers in them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from rmb.peer import daemon
from rmb.peer.config import IdentitySection, ListenSection, PeerConfig, RedisSection
from rmb.peer.namespace import inside
from tests.rmb.peer.world import Twin, directory_of
from tfchain.planetary_address import planetary_address


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@dataclass
class Overlay:
    """`names` below /run/netns; `cable` is the link of the same name in both."""

    names: tuple[str, str]
    cable: str

    def connect(self) -> None:
        """Lay the cable (again, when a namespace was made anew)."""
        here, there = self.names
        ip("-n", here, "link", "add", self.cable, "type", "veth", "peer", "name", self.cable, "netns", there)
        for name in self.names:
            ip("-n", name, "link", "set", self.cable, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def add(self, end: int, address: str) -> None:
        words = ("nodad",) if ":" in address else ()
        ip("-n", self.names[end], "addr", "add", address, "dev", self.cable, *words)

    def add_planetary(self, end: int, twin: Twin) -> None:
        """Give one end the address that the twin's Yggdrasil daemon would have."""
        self.add(end, f"{planetary_address(twin.identity.public_key)}/7")


@contextlib.contextmanager
def two_namespaces(cable: str) -> Iterator[Overlay]:
    mark = secrets.token_hex(3)
    names = (f"rmb-{mark}-a", f"rmb-{mark}-b")
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        overlay = Overlay(names, cable)
        overlay.connect()
        yield overlay
    finally:
        for name in made:
            ip("netns", "del", name)


@contextlib.asynccontextmanager
async def peer_in(namespace: str, twin: Twin, *others: Twin) -> AsyncIterator[None]:
    """The peer of `twin`, which listens on the overlay of the namespace and knows others by their keys alone."""
    config = PeerConfig(
        redis=RedisSection(url=twin.redis),
        identity=IdentitySection(key_file=Path("/nonexistent")),
        listen=ListenSection(overlay=True, namespace=namespace),
    )
    peer = asyncio.create_task(daemon.serve(config, twin.identity, directory_of(twin, *others), twin.id))
    try:
        yield
    finally:
        peer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await peer


async def until_reached(namespace: str, twin: Twin, timeout: float = 60) -> None:
    """Wait until the twin's peer accepts connections on its derived address."""
    await until_connected(namespace, str(planetary_address(twin.identity.public_key)), 8051, timeout)


async def until_connected(namespace: str, host: str, port: int, timeout: float = 60) -> None:
    """Wait until a TCP connection from inside the namespace succeeds."""

    def connect() -> None:
        socket.create_connection((host, port), timeout=2).close()

    async with asyncio.timeout(timeout):
        while True:
            try:
                return await asyncio.to_thread(inside, namespace, connect)
            except OSError:
                await asyncio.sleep(0.1)
