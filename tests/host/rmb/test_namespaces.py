"""The peer in the namespace of the Yggdrasil daemon: its addresses are put on a veth pair here, the rest is real."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import rmb
from rmb.peer import daemon
from rmb.peer.config import IdentitySection, ListenSection, PeerConfig, RedisSection
from rmb.peer.namespace import identity_of, inside, listening_socket, overlay_addresses
from tests.rmb.peer.world import Twin, directory_of, serve_echo
from tests.rmb.redis_server import redis_server
from tfchain.planetary_address import planetary_address

pytestmark = pytest.mark.root


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@dataclass
class Overlay:
    """Two namespaces with a cable between them."""

    names: tuple[str, str]

    def connect(self) -> None:
        ip(
            "-n",
            self.names[0],
            "link",
            "add",
            "ygg0",
            "type",
            "veth",
            "peer",
            "name",
            "ygg0",
            "netns",
            self.names[1],
        )
        for name in self.names:
            ip("-n", name, "link", "set", "ygg0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def add(self, end: int, twin: Twin) -> None:
        address = str(planetary_address(twin.identity.public_key))
        ip("-n", self.names[end], "addr", "add", f"{address}/7", "dev", "ygg0", "nodad")


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    mark = secrets.token_hex(3)
    names = (f"rmb-{mark}-a", f"rmb-{mark}-b")
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        overlay = Overlay(names)
        overlay.connect()
        yield overlay
    finally:
        for name in made:
            ip("netns", "del", name)


@pytest.fixture
def redis() -> Iterator[str]:
    with redis_server() as path:
        yield path


@contextlib.asynccontextmanager
async def peer_in(namespace: str, twin: Twin, *others: Twin):  # type: ignore[no-untyped-def]
    config = PeerConfig(
        redis=RedisSection(url=twin.redis),
        identity=IdentitySection(key_file=Path("/nonexistent")),
        listen=ListenSection(overlay=True, namespace=namespace),
    )
    peer = asyncio.create_task(daemon.serve(config, twin.identity, directory_of(twin, *others), twin.id))
    try:
        yield peer
    finally:
        peer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await peer


async def until_reached(namespace: str, twin: Twin, timeout: float = 15) -> None:
    """Wait until the twin's peer accepts connections on its derived address."""
    where = (str(planetary_address(twin.identity.public_key)), 8051)

    def connect() -> None:
        with socket.socket(socket.AF_INET6) as probe:
            probe.settimeout(2)
            probe.connect(where)

    async with asyncio.timeout(timeout):
        while True:
            try:
                return await asyncio.to_thread(inside, namespace, connect)
            except OSError:
                await asyncio.sleep(0.1)


async def test_a_call_crosses_between_the_namespaces_of_two_nodes(overlay: Overlay, redis: str) -> None:
    alice, bob = Twin.make(14, 1, redis), Twin.make(55, 2, redis)
    overlay.add(0, alice)
    async with peer_in(overlay.names[0], alice, bob), peer_in(overlay.names[1], bob, alice):
        await until_reached(overlay.names[0], alice)
        # The other node's overlay comes up only after its peer.
        overlay.add(1, bob)
        await until_reached(overlay.names[0], bob)
        link = bob.link()
        service = asyncio.create_task(serve_echo(link))
        async with await rmb.connect(alice.redis) as bus:
            assert await bus.call(bob.id, "a.b", {"over": "there"}, timeout=10) == {"over": "there"}
        service.cancel()
        await link.close()


async def test_a_namespace_made_anew_is_listened_in_again(
    overlay: Overlay, redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.peer.listeners.LOOK", 0.2)
    alice = Twin.make(14, 1, redis)
    overlay.add(0, alice)
    name = overlay.names[0]
    async with peer_in(name, alice):
        await until_reached(name, alice)
        ip("netns", "del", name)
        await asyncio.sleep(0.5)
        ip("netns", "add", name)
        overlay.connect()
        overlay.add(0, alice)
        await until_reached(name, alice)


def test_only_the_daemons_own_addresses_count(overlay: Overlay, redis: str) -> None:
    alice = Twin.make(14, 1, redis)
    name = overlay.names[0]
    assert overlay_addresses(name) == []
    ip("-n", name, "addr", "add", "fd00::1/64", "dev", "ygg0", "nodad")
    ip("-n", name, "addr", "add", "302:1::1/64", "dev", "ygg0", "nodad")
    overlay.add(0, alice)
    assert overlay_addresses(name) == [planetary_address(alice.identity.public_key)]


def test_a_socket_keeps_the_namespace_in_which_it_was_made(overlay: Overlay) -> None:
    here = identity_of(None)
    with (
        listening_socket(overlay.names[0], "127.0.0.1", 8051),
        listening_socket(overlay.names[1], "127.0.0.1", 8051),
    ):
        assert identity_of(None) == here
    with pytest.raises(FileNotFoundError):
        listening_socket(f"{overlay.names[0]}-not", "127.0.0.1", 8051)
