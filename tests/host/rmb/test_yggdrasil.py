"""A call between two twins over two real Yggdrasil daemons that run with the twins' own keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import rmb
from tests.host.rmb.overlay import Overlay, peer_in, two_namespaces, until_connected, until_reached
from tests.rmb.peer.world import Twin, serve_echo
from tfchain.keys import Identity

pytestmark = pytest.mark.root


@contextmanager
def yggdrasil(folder: Path, namespace: str, seed: bytes, **settings: list[str]) -> Iterator[None]:
    program = shutil.which("yggdrasil") or "/usr/sbin/yggdrasil"
    if not Path(program).exists():
        pytest.skip("yggdrasil is not installed: apt-get install yggdrasil")
    config = folder / f"{namespace}.json"
    key = (seed + Identity.from_seed(seed).public_key).hex()
    fixed = {"PrivateKey": key, "IfName": "ygg0", "AdminListen": "none", "MulticastInterfaces": []}
    config.write_text(json.dumps(fixed | settings))
    config.chmod(0o600)
    with (folder / f"{namespace}.log").open("wb") as log:
        command = ["ip", "netns", "exec", namespace, program, "-useconffile", str(config)]
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)


async def test_a_call_crosses_yggdrasil(tmp_path: Path, redis: str) -> None:
    seeds = (bytes.fromhex("11" * 32), bytes.fromhex("22" * 32))
    alice, bob = (
        replace(Twin.make(number, database, redis), identity=Identity.from_seed(seed))
        for number, database, seed in ((14, 1, seeds[0]), (55, 2, seeds[1]))
    )
    with two_namespaces("eth0") as cable:
        cable.add(0, "192.0.2.1/24")
        cable.add(1, "192.0.2.2/24")
        async with peer_in(cable.names[0], alice, bob), peer_in(cable.names[1], bob, alice):
            with yggdrasil(tmp_path, cable.names[0], seeds[0], Listen=["tcp://192.0.2.1:9943"]):
                # A daemon that finds its peer not listening yet tries again only after a minute.
                await until_connected(cable.names[1], "192.0.2.1", 9943)
                with yggdrasil(tmp_path, cable.names[1], seeds[1], Peers=["tcp://192.0.2.1:9943"]):
                    await call(cable, alice, bob)


async def call(cable: Overlay, alice: Twin, bob: Twin) -> None:
    await until_reached(cable.names[0], bob, timeout=30)
    link = bob.link()
    service = asyncio.create_task(serve_echo(link))
    async with await rmb.connect(alice.redis) as bus:
        assert await bus.call(bob.id, "a.b", "far", timeout=20, retries=3) == "far"
    service.cancel()
    await link.close()
