"""What is around the daemon fails: provisioners, the chain, Redis, the disk under the journal, the clock.

`FAULTS_SEED` chooses; `FAULTS=all` takes more seeds (`scope.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridtypes import Deployment, WorkloadType
from provisioners.protocol import Context, WorkloadError
from rmb.redis_link import RedisAddress, RedisLink
from tests.faults import scope
from tests.faults.scenarios import CANCELLED
from tests.faults.workloads import every_type
from tests.shared import report_count
from tests.zosd.parts import FAST, TWIN, Daemon, daemon, deployment, full, zmount
from tests.zosd.test_process import Bus, configuration, known
from tfchain import ChainUnavailable
from zosd.clock import SystemClock
from zosd.engine.acts import Limits
from zosd.journal.journal import Journal
from zosd.journal.records import Key
from zosd.journal.schema import JournalError

SEEDS = range(scope.SEED, scope.SEED + (40 if scope.EVERY_ONE else 3))
VERBS = ("provision", "update", "pause", "resume", "deprovision", "recover")
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
LIMIT_S = 60.0


class Moody:
    """A provisioner that fails by chance, each verb of each workload a few times, before or after it did its work."""

    def __init__(self, inner: Any, chance: random.Random) -> None:
        self._inner, self._chance = inner, chance
        self._left: dict[tuple[str, str], int] = {}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name not in VERBS:
            return attribute

        async def call(ctx: Context, *arguments: Any) -> Any:
            id = getattr(arguments[-1], "id", arguments[-1])
            left = self._left.setdefault((name, str(id)), self._chance.randrange(3))
            fails = left > 0
            self._left[name, str(id)] = left - 1
            before = self._chance.random() < 0.5
            if fails and before:
                raise self._trouble(name)
            result = await attribute(ctx, *arguments)
            await asyncio.sleep(self._chance.random() * 0.01)
            if fails:
                raise self._trouble(name)
            return result

        return call

    def _trouble(self, verb: str) -> Exception:
        # A refused update is final, and would end elsewhere.
        return self._chance.choice([WorkloadError("no luck"), OSError("cable"), KeyError("ours")])


async def life(node: Daemon, wanted: Deployment) -> Key:
    key = await node.deploy_with_contract(wanted)
    await node.settled(LIMIT_S)
    for begins in (True, False):
        await node.orders.pause(key, begins)
        await node.settled(LIMIT_S)
    return key


def without_ipv4() -> Deployment:
    return deployment(*(one for one in every_type() if one.type is not WorkloadType.IPV4))


@pytest.mark.parametrize("seed", SEEDS)
async def test_provisioners_that_fail_n_times_come_to_the_same_end(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with daemon(tmp_path, start=False) as node:
        for type, script in node.scripts.items():
            script._inner = Moody(script._inner, random.Random(f"{seed} {type}"))
        await node.engine.start()
        key = await life(node, without_ipv4())
        assert set(node.states(key).values()) == {"ok"}
        shelf = sorted(path.stem for path in (tmp_path / "run" / "null").rglob("*.json"))
        assert len(shelf) == len(without_ipv4().workloads)
        if chance.random() < 0.9:
            await node.orders.leave(key, CANCELLED)
            await node.until(lambda: len(node.journal.ledger) == 0, LIMIT_S)
            assert list((tmp_path / "run" / "null").rglob("*.json")) == []
    report_count("lives with provisioners that fail", 1)


async def test_a_provisioner_that_hangs_is_ended_and_its_deployment_goes_on(tmp_path: Path) -> None:
    settings = replace(FAST, limits=Limits(0.3, 0.3))
    async with daemon(tmp_path, settings=settings) as node:
        gate = node.scripts[WorkloadType.NETWORK].gates["provision"] = asyncio.Event()
        key = await node.deploy_with_contract(full())
        await node.until(lambda: "did not end within" in node.message(key, "net1"))
        other = await node.deploy_with_contract(deployment(zmount("d"), contract=2))
        await node.until(lambda: node.states(other) == {"d": "ok"})
        gate.set()
        await node.settled(LIMIT_S)
        assert set(node.states(key).values()) == {"ok"}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_chain_that_comes_and_goes_loses_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with daemon(tmp_path) as node:

        async def weather() -> None:
            while True:
                node.chain.away = chance.random() < 0.5
                await asyncio.sleep(chance.random() * 0.02)
                with contextlib.suppress(ChainUnavailable):
                    await node.waiting.round()

        # Known from before, so that he may deploy in any weather.
        await node.deploy_with_contract(deployment(zmount("first"), contract=99))
        task = asyncio.ensure_future(weather())
        try:
            keys = []
            for contract in range(1, 9):
                wanted = deployment(zmount("d"), contract=contract)
                node.chain.sign_up(wanted)
                await node.deploy(wanted)
                keys.append(Key(TWIN, wanted.contract_id))
            await node.until(lambda: all(node.states(key) == {"d": "ok"} for key in keys), LIMIT_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    report_count("lives under a chain that comes and goes", 1)


async def test_a_full_disk_acknowledges_nothing_and_hurts_nothing(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()

        async def pages(most: int | None) -> int:
            """Limit the journal's file, as a full disk does; returns its size."""

            def limit(connection: Any) -> int:
                (size,) = connection.execute("PRAGMA page_count").fetchone()
                connection.execute(f"PRAGMA max_page_count = {most or 1 << 30}")
                return int(size)

            return await node.journal._store.run(limit)

        await pages(1)  # SQLite takes the present size at least

        async def fill() -> None:
            nonlocal wanted
            for contract in range(1, 200):
                wanted = deployment(*(zmount(f"disk{n}", 1 << 20) for n in range(20)), contract=contract)
                node.chain.sign_up(wanted)
                await node.deploy(wanted)

        wanted = full()
        with pytest.raises(JournalError, match="full"):
            await fill()
        assert node.journal.ledger.get(Key(TWIN, wanted.contract_id)) is None
        assert set(node.states(key).values()) == {"ok"}
        # Room again: what was refused is accepted, and everything else comes to its end.
        await pages(None)
        await node.deploy(wanted)
        for record in node.journal.ledger.all():
            node.engine.wake(record.key)
        await node.settled(LIMIT_S)
        count = len(node.journal.ledger)
    journal = Journal(tmp_path / "journal.db")
    await journal.open()
    assert len(journal.ledger) == count
    await journal.close()


@pytest.mark.parametrize("jump", [-86400.0, 86400.0, -10 * 365 * 86400.0])
async def test_a_clock_that_jumps_delays_nothing(tmp_path: Path, jump: float) -> None:
    """Waiting goes by the monotonic clock; the other one is only shown."""
    clock = SystemClock()
    async with daemon(tmp_path) as node:
        node.engine._clock = clock
        disks = node.scripts[WorkloadType.ZMOUNT]
        disks.fail["provision"] = WorkloadError("not yet")
        key = await node.deploy_with_contract(full())
        await node.until(lambda: disks.calls.count(("provision", "disk1")) >= 2)
        clock.time = lambda: SystemClock().time() + jump  # type: ignore[method-assign]
        before = disks.calls.count(("provision", "disk1"))
        await node.until(lambda: disks.calls.count(("provision", "disk1")) > before)
        disks.fail.clear()
        await node.settled()
        await node.orders.leave(key, CANCELLED)
        await node.until(lambda: len(node.journal.ledger) == 0)


# -- whole processes -----------------------------------------------------------------------------------------------


class Redis:
    """A server that can be killed and started again at the same place."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", self._folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="zos-redis-") as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def started(file: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    log = (file.parent / "log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "zosd.cli", "run", "--config", str(file)],
        stderr=log,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


async def answering(redis: Redis) -> Bus:
    """A way to call the daemon, once it serves."""
    deadline = asyncio.get_running_loop().time() + LIMIT_S
    while True:
        link = RedisLink(RedisAddress.parse(f"unix://{redis.path}"))
        try:
            if await link.command("EXISTS", "msgbus.router.zos"):
                return Bus(link)
        except Exception:
            assert asyncio.get_running_loop().time() < deadline
        await link.close()
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)


async def test_redis_is_killed_and_comes_back_empty(tmp_path: Path, redis: Redis) -> None:
    await known(tmp_path)
    file = configuration(tmp_path, str(redis.path))
    with started(file) as process:
        bus = await answering(redis)
        assert await bus.call("zos.deployment.deploy", raw=full().to_json()) is None
        await bus.link.close()
        redis.kill()
        await asyncio.sleep(0.5)
        assert process.poll() is None
        redis.start()
        bus = await answering(redis)
        (shown,) = await bus.call("zos.deployment.list")
        assert shown["contract_id"] == 1000
        await bus.link.close()


async def test_a_node_whose_clock_jumps_by_hours_serves_on(tmp_path: Path, redis: Redis) -> None:
    """The whole process lives in another time; the machine's own clock is never set."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed: make setup")
    await known(tmp_path)
    setting = tmp_path / "faketime"
    setting.write_text("+0\n")
    file = configuration(tmp_path, str(redis.path))
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with started(file, **environment) as process:
        bus = await answering(redis)
        for jump in ("+3h", "-20m", "+0"):
            setting.write_text(f"{jump}\n")
            if jump == "+3h":  # to the node the request is three hours old
                assert "has expired" in await bus.refusal("zos.system.version")
            else:
                await bus.call("zos.system.version")
            assert process.poll() is None
        assert await bus.call("zos.deployment.deploy", raw=full().to_json()) is None
        await bus.link.close()
