"""The stream of finalised blocks loses nothing: not at restarts, nor when the chain dies, prunes or is upgraded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.shared import vector_file
from tests.tfchain.client.conftest import ALICE, BOB
from tests.tfchain.client.proxy import PASS, Fault, Proxy
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain, ChainClosed, ChainUnavailable, Identity, OutcomeUnknown, follow
from tfchain.codec.metadata import encode, parse
from tfchain.codec.types import Registry, Variant
from tfchain.grid_events import TwinStored, read
from tfchain.models import Event, FinalisedBlock

PATIENCE = 20.0


class FileCursor:
    """A cursor in a file; counts what was saved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved: list[int] = []

    def load(self) -> int | None:
        return int(self.path.read_text()) if self.path.exists() else None

    def save(self, number: int) -> None:
        self.saved.append(number)
        self.path.write_text(str(number))


@pytest.fixture
def cursor(tmp_path: Path) -> FileCursor:
    return FileCursor(tmp_path / "cursor")


async def take(chain: Chain, cursor: FileCursor, upto: int) -> list[FinalisedBlock]:
    """Blocks of the stream until block `upto`, which is processed too."""
    blocks: list[FinalisedBlock] = []
    async with asyncio.timeout(PATIENCE), contextlib.aclosing(chain.events(cursor)) as stream:  # type: ignore[type-var]
        async for block in stream:
            blocks.append(block)
            if block.number >= upto:
                cursor.save(block.number)
                break
    return blocks


def numbers(blocks: Sequence[FinalisedBlock]) -> list[int]:
    return [block.number for block in blocks]


def named(blocks: Sequence[FinalisedBlock], name: str) -> list[Event]:
    return [event for block in blocks for event in block.events if event.name == name]


async def test_a_new_stream_begins_at_the_present_block(
    chain: Chain, process: ChainProcess, cursor: FileCursor
) -> None:
    process.rpc("dev_newBlock", {"count": 20})
    head = await settled(chain)
    blocks = await take(chain, cursor, head)
    assert numbers(blocks) == [head]


async def test_events_carry_what_happened(chain: Chain, cursor: FileCursor) -> None:
    cursor.save(await settled(chain))
    await chain.accept_terms(ALICE)
    twin = await chain.create_twin(ALICE, "relay.example.org")
    blocks = await take(chain, cursor, (await chain.head()).number)
    (stored,) = named(blocks, "TwinStored")
    typed = read(stored)
    assert isinstance(typed, TwinStored)
    assert (typed.twin.id, typed.twin.relay) == (twin, "relay.example.org")
    assert stored.extrinsic == 1
    assert all(block.is_complete for block in blocks)


async def test_a_long_absence_is_caught_up_in_order(
    chain: Chain, process: ChainProcess, cursor: FileCursor
) -> None:
    start = await settled(chain)
    cursor.save(start)
    process.rpc("dev_newBlock", {"count": 3 * follow.BATCH + 5})
    blocks = await take(chain, cursor, start + 3 * follow.BATCH + 5)
    assert numbers(blocks) == list(range(start + 1, start + 3 * follow.BATCH + 6))
    hashes = [process.rpc("chain_getBlockHash", block.number) for block in blocks[:: follow.BATCH]]
    assert hashes == ["0x" + block.hash.hex() for block in blocks[:: follow.BATCH]]


async def test_a_block_counts_once_the_next_is_asked_for(
    chain: Chain, process: ChainProcess, cursor: FileCursor
) -> None:
    start = await settled(chain)
    cursor.save(start)
    process.rpc("dev_newBlock", {"count": 3})
    async with asyncio.timeout(PATIENCE):
        async for block in chain.events(cursor):
            if block.number == start + 2:
                break  # what a crash of the consumer leaves: the block was not processed
    assert cursor.load() == start + 1
    assert numbers(await take(chain, cursor, start + 3)) == [start + 2, start + 3]


async def test_kills_of_the_chain_lose_no_event(process: ChainProcess, cursor: FileCursor) -> None:
    """While the chain dies four times, every payment that was made is told exactly once, in contiguous blocks."""
    chosen = random.Random(61125)
    to = Identity.generate()
    is_over = False
    paid = 0

    async def payer(chain: Chain) -> None:
        nonlocal paid
        while not is_over:
            await chain.transfer(ALICE, to.public_key, 1000 + paid)
            paid += 1

    async with Chain([process.url]) as paying, Chain([process.url]) as following:
        cursor.save(await settled(paying))
        blocks: list[FinalisedBlock] = []

        async def listen() -> None:
            async for block in following.events(cursor):
                blocks.append(block)

        listener, busy = asyncio.create_task(listen()), asyncio.create_task(payer(paying))
        for _ in range(4):
            await asyncio.sleep(chosen.uniform(0.1, 0.7))
            process.kill()
            await asyncio.to_thread(process.start)
        await asyncio.sleep(0.3)
        is_over = True
        await busy
        last = await settled(paying)
        async with asyncio.timeout(PATIENCE):
            while not blocks or blocks[-1].number < last:
                await asyncio.sleep(0.05)
        listener.cancel()
    assert numbers(blocks) == list(range(blocks[0].number, blocks[0].number + len(blocks)))
    amounts = [
        event.attributes["amount"]
        for event in named(blocks, "Transfer")
        if event.attributes["to"] == to.public_key
    ]
    assert amounts == [1000 + count for count in range(paid)]


async def test_a_restart_of_the_follower_goes_on_where_it_was(
    process: ChainProcess, cursor: FileCursor
) -> None:
    async with Chain([process.url]) as chain:
        start = await settled(chain)
        cursor.save(start)
        process.rpc("dev_newBlock", {"count": 5})
        first = await take(chain, cursor, start + 5)
    process.rpc("dev_newBlock", {"count": 5})
    process.kill()
    process.start()
    async with Chain([process.url]) as chain:
        second = await take(chain, cursor, start + 10)
    assert numbers(first + second) == list(range(start + 1, start + 11))


async def test_blocks_that_no_endpoint_keeps_are_told_as_incomplete(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], cursor: FileCursor
) -> None:
    proxy, _ = proxies
    async with Chain([process.url]) as direct:
        start = await settled(direct)
        cursor.save(start)
        process.rpc("dev_newBlock", {"count": 6})
        kept = await direct.finalised_head()
    old = {process.rpc("chain_getBlockHash", number) for number in range(start + 4)}

    def pruned(params: list[Any]) -> Any:
        if params[-1] in old:
            raise Fault(-32000, "Client error: State already discarded")
        return PASS

    proxy.answers["state_queryStorageAt"] = pruned
    async with Chain([proxy.url]) as chain:
        blocks = await take(chain, cursor, max(kept.number, start + 6))
    assert [block.is_complete for block in blocks[:6]] == [False] * 3 + [True] * 3
    assert numbers(blocks)[0] == start + 1


async def test_blocks_that_one_endpoint_has_pruned_come_from_another(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], cursor: FileCursor
) -> None:
    pruning, archive = proxies

    def pruned(_: list[Any]) -> Any:
        raise Fault(-32000, "Client error: State already discarded")

    pruning.answers["state_queryStorageAt"] = pruned
    async with Chain([pruning.url, archive.url]) as chain:
        start = await settled(chain)
        cursor.save(start)
        process.rpc("dev_newBlock", {"count": 4})
        blocks = await take(chain, cursor, start + 4)
    assert numbers(blocks) == [start + 1, start + 2, start + 3, start + 4]
    assert all(block.is_complete for block in blocks)


async def test_events_are_read_with_the_runtime_that_wrote_them(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], cursor: FileCursor
) -> None:
    """Blocks before and after an upgrade in one catch-up: each is decoded by its own metadata."""
    proxy, _ = proxies
    async with Chain([process.url]) as direct:
        start = await settled(direct)
        cursor.save(start)
        await direct.transfer(ALICE, BOB.public_key, 1)
        upgrade = (await direct.head()).number
        await direct.transfer(ALICE, BOB.public_key, 2)
        last = await settled(direct)
    before = {process.rpc("chain_getBlockHash", number) for number in range(upgrade)}
    newer = "0x" + _with_renamed_event("Transfer", "Moved").hex()
    version = process.rpc("state_getRuntimeVersion")
    proxy.answers["state_getRuntimeVersion"] = lambda params: (
        PASS if params and params[0] in before else {**version, "specVersion": 150}
    )
    proxy.answers["state_getMetadata"] = lambda params: PASS if params and params[0] in before else newer
    async with Chain([proxy.url]) as chain:
        assert (await chain.runtime_version()).spec == 150
        blocks = await take(chain, cursor, last)
    assert [event.attributes["amount"] for event in named(blocks, "Transfer")] == [1]
    assert [event.attributes["amount"] for event in named(blocks, "Moved")] == [2]


async def test_a_stream_changes_to_another_endpoint_when_its_own_dies(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], cursor: FileCursor
) -> None:
    first, second = proxies
    async with Chain([first.url, second.url]) as chain:
        start = await settled(chain)
        cursor.save(start)
        blocks = await take(chain, cursor, start + 1) if process.rpc("dev_newBlock") else []
        await first.stop()
        process.rpc("dev_newBlock", {"count": 3})
        blocks += await take(chain, cursor, start + 4)
    assert numbers(blocks) == [start + 1, start + 2, start + 3, start + 4]


async def test_an_endpoint_that_tells_no_heads_is_left(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], cursor: FileCursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "STALL", 1.0)
    mute, good = proxies
    mute.mutes_pushes = True
    async with Chain([mute.url, good.url]) as chain:
        start = await settled(chain)
        cursor.save(start)
        process.rpc("dev_newBlock", {"count": 2})
        assert numbers(await take(chain, cursor, start + 2)) == [start + 1, start + 2]


async def test_closing_the_client_ends_the_stream(chain: Chain, cursor: FileCursor) -> None:
    async def listen() -> None:
        async for _ in chain.events(cursor):
            pass

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    await chain.close()
    with pytest.raises(ChainClosed):
        await asyncio.wait_for(task, 30)


async def settled(chain: Chain) -> int:
    """The best block's number, once it is final."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(ChainUnavailable, OutcomeUnknown):
                head, final = await chain.head(), await chain.finalised_head()
                if final.number >= head.number:
                    return final.number
            await asyncio.sleep(0.05)


def _with_renamed_event(old: str, new: str) -> bytes:
    """The published metadata, with an event of Balances under another name."""
    raw = vector_file("tfchain-metadata-149.scale.hex").read_text().strip()
    metadata = parse(bytes.fromhex(raw[2:]))
    place = metadata.pallet("Balances").events
    assert place is not None
    types = list(metadata.registry.types)
    events = types[place].definition
    assert isinstance(events, Variant)
    renamed = [dataclasses.replace(case, name=new) if case.name == old else case for case in events.cases]
    types[place] = dataclasses.replace(types[place], definition=Variant(tuple(renamed)))
    return encode(dataclasses.replace(metadata, registry=Registry(tuple(types))))
