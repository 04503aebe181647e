"""The peer in the namespace of the Yggdrasil daemon: its addresses are put on a veth pair here, the rest is real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import rmb
from rmb.peer.namespace import identity_of, listening_socket, overlay_addresses
from tests.host.rmb.overlay import Overlay, ip, peer_in, two_namespaces, until_reached
from tests.rmb.peer.world import Twin, serve_echo
from tfchain.planetary_address import planetary_address

pytestmark = pytest.mark.root


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    with two_namespaces("ygg0") as overlay:
        yield overlay


async def test_a_call_crosses_between_the_namespaces_of_two_nodes(overlay: Overlay, redis: str) -> None:
    alice, bob = Twin.make(14, 1, redis), Twin.make(55, 2, redis)
    overlay.add_planetary(0, alice)
    async with peer_in(overlay.names[0], alice, bob), peer_in(overlay.names[1], bob, alice):
        await until_reached(overlay.names[0], alice)
        # The other node's overlay comes up only after its peer.
        overlay.add_planetary(1, bob)
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
    overlay.add_planetary(0, alice)
    name = overlay.names[0]
    async with peer_in(name, alice):
        await until_reached(name, alice)
        ip("netns", "del", name)
        await asyncio.sleep(0.5)
        ip("netns", "add", name)
        overlay.connect()
        overlay.add_planetary(0, alice)
        await until_reached(name, alice)


def test_only_the_daemons_own_addresses_count(overlay: Overlay, redis: str) -> None:
    alice = Twin.make(14, 1, redis)
    name = overlay.names[0]
    assert overlay_addresses(name) == []
    overlay.add(0, "fd00::1/64")
    overlay.add(0, "302:1::1/64")
    overlay.add_planetary(0, alice)
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
