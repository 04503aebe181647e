"""The daemon as a process of its own over a real Redis, with the test in the place of the peer."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gridtypes import TwinId
from rmb import queues
from rmb.gen1.message import Message
from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.blocking_pop import blocking_pop
from tests.rmb.redis_server import redis_server
from tests.zosd.parts import NODE, TWIN, Signer, deployment, full, zmount
from tfchain.keys import Identity
from zosd.chainlife.notes import IDS
from zosd.journal.changes import PutNote
from zosd.journal.journal import Journal

START_LIMIT = 60.0


@pytest.fixture(scope="module")
def redis_socket() -> Iterator[str]:
    with redis_server() as path:
        yield path


@dataclass
class Bus:
    """Calls commands as the peer would hand them over."""

    link: RedisLink
    number: int = field(default_factory=lambda: secrets.randbits(32))

    async def call(
        self, command: str, payload: object = None, twin: int = TWIN, raw: bytes | None = None
    ) -> Any:
        """The decoded answer; raises RuntimeError with the error's text."""
        self.number += 1
        body = json.dumps(payload).encode() if raw is None else raw
        request = Message(
            uid=f"7.{self.number}",
            command=command,
            expiration=30,
            source=twin,
            destinations=(7,),
            reply_to=queues.REPLY,
            now=int(time.time()),
        ).with_payload(body)
        root = command.partition(".")[0]
        served = await self.link.command("SISMEMBER", queues.router(root), command)
        # The peer hands what no router serves to whoever serves the rest below the root.
        where = root if not served and await self.link.command("EXISTS", queues.router(root)) else command
        await self.link.command("LPUSH", queues.command(where), request.to_json())
        answer = None
        while answer is None or answer.uid != request.uid:  # a router that lost Redis answers once more
            answer = Message.from_json(await blocking_pop(self.link, queues.REPLY, 60))
        if answer.error:
            raise RuntimeError(answer.error)
        return json.loads(answer.payload())

    async def refusal(self, command: str, payload: object = None, **rest: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            await self.call(command, payload, **rest)
        return str(caught.value)


def configuration(folder: Path, redis: str, extra: str = "") -> Path:
    file = folder / "zosd.toml"
    file.write_text(
        f'[node]\nnull = true\n[paths]\nstate = "{folder}/state"\nrun = "{folder}/run"\n'
        f'[bus]\nredis = "unix://{redis.removeprefix("unix://")}"\n{extra}'
    )
    return file


def spawn(file: Path, program: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """The daemon with this configuration, or another Python program that takes it as its first argument."""
    words = (*program[:1], str(file), *program[1:]) if program else ("zosd.cli", "run", "--config", str(file))
    log = (file.parent / "log").open("ab")
    return subprocess.Popen([sys.executable, "-m", *words], stderr=log)


def ended(file: Path) -> tuple[int, str]:
    """Run to the end, which comes by itself, and return exit status and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "zosd.cli", "run", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
        check=False,
    )
    return done.returncode, done.stderr


@asynccontextmanager
async def running(file: Path, redis: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], Bus]]:
    link = RedisLink(RedisAddress.parse(redis))
    await link.command("FLUSHALL")
    process = spawn(file)
    try:
        bus = Bus(link)
        await bus.call("zos.system.version")
        yield process, bus
    finally:
        if process.poll() is None:
            process.terminate()
        await asyncio.to_thread(process.wait, START_LIMIT)
        await link.close()


async def known(folder: Path) -> None:
    """A node that was registered, and knows a twin, in an earlier life."""
    key = Identity.load_or_generate(folder / "state" / "key")
    journal = Journal(folder / "state" / "journal.db")
    await journal.open()
    ids = json.dumps([NODE, 1, key.public_key.hex()]).encode()
    await journal.commit("x", [PutNote(IDS, ids), PutNote(f"twin-key:{TWIN}", Signer().public_key)])
    await journal.close()


async def test_answers_everybody(tmp_path: Path, redis_socket: str) -> None:
    file = configuration(tmp_path, redis_socket, "[capacity]\ncru = 8\nmru = 34359738368\n")
    async with running(file, redis_socket) as (_, bus):
        version = await bus.call("zos.system.version", raw=b"")
        assert sorted(version) == ["zinit", "zos"]
        assert version == await bus.call("zos.system.version", "")
        features = await bus.call("zos.system.node_features_get")
        assert {"zmachine", "network", "zmount", "ip", "yggdrasil", "wireguard", "null"} <= set(features)
        assert isinstance(await bus.call("zos.system.hypervisor"), str)
        statistics = await bus.call("zos.statistics.get")
        assert statistics["total"]["mru"] == 34359738368
        assert statistics["system"]["mru"] == 34359738368 // 10
        assert statistics["used"] == statistics["system"]
        assert statistics["users"] == {"deployments": 0, "workloads": 0, "last_deployment_timestamp": 0}
        pools = await bus.call("zos.storage.pools")
        assert [pool["type"] for pool in pools] == ["ssd", "hdd"]
        assert await bus.call("zos.storage.left_alone") == []
        assert {80, 443, 9651} <= set(await bus.call("zos.network.list_wg_ports"))
        assert await bus.refusal("zos.network.public_config_get") == "no public configuration"
        assert await bus.call("zos.network.interfaces") == {"zos": [], "ygg": []}
        assert await bus.call("zos.network.has_ipv6") is False
        assert await bus.call("zos.network.list_public_ips") == []
        assert await bus.call("zos.network.list_private_ips", {"network_name": "x"}) == []


async def test_deployments_over_the_bus(tmp_path: Path, redis_socket: str) -> None:
    await known(tmp_path)
    async with running(configuration(tmp_path, redis_socket), redis_socket) as (process, bus):
        assert await bus.call("zos.deployment.list") == []
        assert await bus.refusal("zos.deployment.get", {"contract_id": 1000}) == "deployment not found"
        assert await bus.refusal("zos.deployment.get", {}) == "deployment not found"
        assert await bus.refusal("zos.deployment.changes", {"contract_id": 1}) == "deployment not found"
        assert await bus.refusal("zos.deployment.delete", {"contract_id": 1}) == (
            "deletion over the api is disabled, please cancel your contract instead"
        )
        wanted = full()
        body = wanted.to_json()
        assert await bus.refusal("zos.deployment.deploy", raw=body, twin=27) == (
            "twin id mismatch (deployment: 26, message: 27)"
        )
        assert await bus.call("zos.deployment.deploy", raw=body) is None
        assert await bus.call("zos.deployment.deploy", raw=body) is None
        shown = await bus.call("zos.deployment.get", {"Contract_ID": 1000})
        assert [one["name"] for one in shown["workloads"]] == ["vm1", "disk1", "net1", "ip1"]
        assert {one["result"]["state"] for one in shown["workloads"]} == {"init"}
        assert await bus.refusal("zos.deployment.get", {"contract_id": 1000}, twin=27) == (
            "deployment not found"
        )
        assert len(await bus.call("zos.deployment.list")) == 1
        assert await bus.call("zos.deployment.list", twin=27) == []
        assert 6000 in await bus.call("zos.network.list_wg_ports")
        other = deployment(zmount("x"), signer=Signer(TwinId(27)))
        assert "failed to get public key for twin '27'" in await bus.refusal(
            "zos.deployment.deploy", raw=other.to_json(), twin=27
        )
        # Killed, it knows everything that it acknowledged.
        process.kill()
        await asyncio.to_thread(process.wait, 10)
    async with running(configuration(tmp_path, redis_socket), redis_socket) as (process, bus):
        assert len(await bus.call("zos.deployment.list")) == 1
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, START_LIMIT) == 0


async def test_an_unregistered_node_says_so(tmp_path: Path, redis_socket: str) -> None:
    await known(tmp_path)
    os.unlink(tmp_path / "state" / "key")  # another key is another node
    async with running(configuration(tmp_path, redis_socket), redis_socket) as (_, bus):
        text = await bus.refusal("zos.deployment.deploy", raw=full().to_json())
        assert text == "the node is not registered yet: registration is still in progress"


def test_says_what_is_wrong_and_ends_with_1(tmp_path: Path, redis_socket: str) -> None:
    file = configuration(tmp_path, redis_socket, "[enginee]\nparallel = 4\n")
    status, text = ended(file)
    assert status == 1
    assert text.count("\n") == 1
    assert "engine" in text


async def test_two_daemons_do_not_share_a_state(tmp_path: Path, redis_socket: str) -> None:
    file = configuration(tmp_path, redis_socket)
    async with running(file, redis_socket):
        status, text = await asyncio.to_thread(ended, file)
        assert status == 1
        assert "in use by another zosd" in text


def test_check_config_and_version(tmp_path: Path, redis_socket: str) -> None:
    file = configuration(tmp_path, redis_socket)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zosd.cli", *arguments], capture_output=True, text=True, check=False
        )

    good = command("check-config", "--config", str(file))
    assert (good.returncode, good.stdout) == (0, f"configuration is good: null node in {tmp_path}/state\n")
    assert command("version").stdout.strip().count(".") == 2
    assert command("run", "--nonsense").returncode == 2
