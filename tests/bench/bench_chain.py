"""The development chain: extrinsics and reads per second, memory and start with a large state.

python -m tests.bench.bench_chain [COUNT]

Floors in the same run: verifying as many sr25519 signatures, and as many SQLite commits with full synchronisation.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from tests.tfchain.devchain.driver import Driver, person
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain
from tfchain.codec.extrinsic import decode_extrinsic, signing_payload
from tfchain.devchain.chain import DevChain
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.pallets.contracts.store import CONTRACTS
from tfchain.devchain.pallets.tfgrid.store import TWIN_BY_ACCOUNT, TWIN_ID, TWINS
from tfchain.devchain.records import Contract, NameContract, Twin
from tfchain.devchain.signatures import verifies
from tfchain.devchain.state import Layer, Reading, Snapshot
from tfchain.devchain.store import Store
from tfchain.keys import Identity

COUNT = 2000
LARGE = 100_000
ALICE, BOB = person("//Alice"), person("//Bob")
ACCOUNTS = [person(f"//{name}") for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")]


def signed(folder: Path, count: int) -> tuple[list[bytes], bytes]:
    """Transfers of //Alice with nonces in order, for a chain with the default genesis; and the genesis hash."""
    driver = Driver(folder)
    call = driver.encode_call("Balances.transfer", {"dest": BOB.address, "value": 1})
    made = [driver.sign(ALICE, call, nonce=number) for number in range(count)]
    genesis = driver.chain.genesis_hash
    driver.close()
    return made, genesis


def verifying(extrinsics: list[bytes], genesis: bytes, driver: Driver) -> float:
    """Signatures per second."""
    version = driver.interface.version
    started = time.perf_counter()
    for encoded in extrinsics:
        extrinsic = decode_extrinsic(encoded)
        signer = extrinsic.signer
        assert signer is not None
        payload = signing_payload(
            extrinsic.call, signer.extra, version["spec_version"], version["transaction_version"],
            genesis, genesis,
        )  # fmt: skip
        assert verifies(signer.kind, signer.account, payload, signer.signature)
    return len(extrinsics) / (time.perf_counter() - started)


def committing(folder: Path, count: int) -> float:
    """Commits per second of one row each."""
    connection = sqlite3.connect(folder / "raw.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
    started = time.perf_counter()
    for number in range(count):
        with connection:
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, bytes(200)))
    rate = count / (time.perf_counter() - started)
    connection.close()
    return rate


async def forgetting(chain: ChainProcess, extrinsics: list[bytes], key: str) -> tuple[float, float]:
    """Extrinsics per second from the first submission to the last one's block, and the longest time of a block (s)."""
    async with aiohttp.ClientSession() as session, session.ws_connect(chain.url, max_msg_size=0) as socket:
        started = time.perf_counter()
        for first in range(0, len(extrinsics), 200):
            for number, encoded in enumerate(extrinsics[first : first + 200]):
                await socket.send_json(
                    {"id": number, "method": "author_submitExtrinsic", "params": ["0x" + encoded.hex()]}
                )
            for _ in extrinsics[first : first + 200]:
                assert "result" in await socket.receive_json()
            # An account may have 256 transactions waiting.
            while await _nonce(socket, key) < first:
                await asyncio.sleep(0.005)
        while await _nonce(socket, key) < len(extrinsics):
            await asyncio.sleep(0.005)
        return len(extrinsics) / (time.perf_counter() - started), await _slowest_block(socket)


async def _nonce(socket: aiohttp.ClientWebSocketResponse, key: str) -> int:
    """Nonce of the account whose storage key is `key`."""
    await socket.send_json({"id": 0, "method": "state_getStorage", "params": [key]})
    answer = (await socket.receive_json())["result"]
    return int.from_bytes(bytes.fromhex(answer[2:10]), "little")


async def _slowest_block(socket: aiohttp.ClientWebSocketResponse) -> float:
    """Longest time for an empty block now, seconds, as the control method sees it."""
    slowest = 0.0
    for number in range(20):
        started = time.perf_counter()
        await socket.send_json({"id": number, "method": "dev_newBlock", "params": []})
        await socket.receive_json()
        slowest = max(slowest, time.perf_counter() - started)
    return slowest


async def client_rates(chain: ChainProcess) -> dict[str, float]:
    """Of `tfchain.Chain`: reads, and transfers that are waited for until they are in a block."""
    to = Identity.generate()
    async with Chain([chain.url]) as client:
        await client.transfer(ALICE, to.public_key, 1_000_000)

        async def pay(key: Identity, times: int) -> None:
            for _ in range(times):
                await client.transfer(key, to.public_key, 1000)

        reads = await _rate(2000, lambda: asyncio.gather(*(client.now() for _ in range(2000))))
        alone = await _rate(100, lambda: pay(BOB, 100))
        many = await _rate(300, lambda: asyncio.gather(*(pay(key, 50) for key in ACCOUNTS)))
    return {"reads": reads, "watched, one account": alone, "watched, six accounts": many}


async def _rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    await work()  # type: ignore[misc]  # whatever can be awaited
    return count / (time.perf_counter() - started)


def large_state(folder: Path) -> tuple[int, float, float]:
    """MiB of a process whose chain has 100,000 twins and as many contracts, seconds of its start, of a block."""
    store = Store(folder / "chain.db")
    chain = DevChain(store, Genesis())
    layer = Layer(Snapshot({}))
    state = Reading(layer)
    for number in range(1, LARGE + 1):
        account = number.to_bytes(32, "big")
        TWINS.put(state, number, Twin(number, account, None, [], None))  # type: ignore[arg-type]
        TWIN_BY_ACCOUNT.put(state, account, number)  # type: ignore[arg-type]
        contract = Contract(1, "Created", number, number, NameContract(b"name%d" % number), None)
        CONTRACTS.put(state, number, contract)  # type: ignore[arg-type]
    TWIN_ID.put(state, LARGE)  # type: ignore[arg-type]
    chain.seal([], writes=layer.changes)
    chain.close()
    process = ChainProcess(folder)
    started = time.perf_counter()
    process.start()
    start = time.perf_counter() - started
    try:
        started = time.perf_counter()
        process.rpc("dev_newBlock", {"count": 100})
        block = (time.perf_counter() - started) / 100
        assert process.pid is not None
        return psutil.Process(process.pid).memory_info().rss >> 20, start, block
    finally:
        process.stop()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("a", "b", "c", "d"):
            (folder / each).mkdir()
        driver = Driver(folder / "b")
        key = "0x" + driver.key("System.Account", ALICE.address).hex()
        extrinsics, genesis = signed(folder / "a", count)
        floors = verifying(extrinsics, genesis, driver), committing(folder, count)
        driver.close()
        process = ChainProcess(folder / "c")
        process.start()
        try:
            forgotten, slowest = asyncio.run(forgetting(process, extrinsics, key))
            rates = asyncio.run(client_rates(process))
        finally:
            process.stop()
        rss, start, block = large_state(folder / "d")
    table = Table(
        "what", "per second", "of verifying", "of commits", title=f"development chain, {count} extrinsics"
    )
    rows = {
        "verifying signatures": floors[0],
        "SQLite commits": floors[1],
        "submitted and forgotten": forgotten,
    }
    for title, rate in {**rows, **rates}.items():
        table.add_row(title, f"{rate:.0f}", f"{rate / floors[0]:.3f}", f"{rate / floors[1]:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"slowest of 20 blocks after that: {slowest * 1000:.1f} ms\n"
        f"{LARGE} twins and contracts: {rss} MiB, starts in {start:.1f} s, {block * 1000:.2f} ms a block"
    )


if __name__ == "__main__":
    main()
