"""Several endpoints, of which some are dead, mute, behind, or of another chain."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from functools import partial

import pytest

from gridtypes.ids import ContractId
from tests.shared import cases, report_count
from tests.tfchain.client.conftest import ALICE, BOB, CHARLIE
from tests.tfchain.client.proxy import PASS, Fault, Proxy
from tests.tfchain.client.test_life import CAPACITY, CARD, PLACE
from tests.tfchain.devchain.process import ChainProcess, free_port
from tfchain import (
    Chain,
    ChainClosed,
    ChainError,
    ChainUnavailable,
    NotFound,
    RpcError,
    WrongChain,
    access,
    connection,
    endpoint,
)
from tfchain.models import Contract


@pytest.fixture
def process(shared_process: ChainProcess) -> ChainProcess:
    """These tests leave the chain as it is, so one will do."""
    return shared_process


OTHER_GENESIS = "0x" + "77" * 32


def nowhere() -> str:
    return f"ws://127.0.0.1:{free_port()}"


def other_chain(params: list[object]) -> object:
    return OTHER_GENESIS if params == [0] else PASS


async def test_a_dead_endpoint_is_passed_over(process: ChainProcess) -> None:
    async with Chain([nowhere(), process.url]) as chain:
        assert (await chain.runtime_version()).spec == 149
        await chain.transfer(ALICE, BOB.public_key, 1000)


async def test_when_none_answers_all_are_named_in_time() -> None:
    urls = [nowhere(), nowhere()]
    async with asyncio.timeout(60), Chain(urls, timeout=1.0) as chain:
        with pytest.raises(ChainUnavailable, match="cannot be reached") as caught:
            await chain.head()
    assert all(url in str(caught.value) for url in urls)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:9944", "ws://", "nonsense"])
async def test_a_url_of_another_form_is_named(url: str) -> None:
    async with Chain([url], timeout=0.3) as chain:
        with pytest.raises(ChainUnavailable, match="not of the form ws://"):
            await chain.head()


def test_no_endpoint_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Chain([])


async def test_a_read_outlives_an_absence_of_the_endpoint(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    async with Chain([proxy.url]) as chain:
        before = await chain.head()
        await proxy.stop()
        read = asyncio.create_task(chain.head())
        await asyncio.sleep(0.4)
        assert not read.done()
        await proxy.start()
        assert (await read).number >= before.number


async def test_another_chain_is_refused_when_the_wanted_one_is_named(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    wrong, right = proxies
    wrong.answers["chain_getBlockHash"] = other_chain
    genesis = bytes.fromhex(process.rpc("chain_getBlockHash", 0)[2:])
    async with Chain([wrong.url], genesis=genesis) as chain:
        with pytest.raises(WrongChain, match=OTHER_GENESIS):
            await chain.head()
    async with Chain([wrong.url, right.url], genesis=genesis) as chain:
        await chain.head()
        assert await chain.genesis_hash() == genesis
    assert right.seen["chain_getHeader"] > 0 == wrong.seen["state_getMetadata"]


async def test_without_a_named_chain_the_first_endpoint_decides(proxies: tuple[Proxy, Proxy]) -> None:
    first, second = proxies
    second.answers["chain_getBlockHash"] = other_chain
    for _ in range(3):
        async with Chain([first.url, second.url]) as chain:
            assert (await chain.genesis_hash()).hex() != OTHER_GENESIS[2:]
            await first.cut()
            assert (await chain.head()).number > 0


async def test_a_chain_of_another_name_is_refused(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    version = {"specName": "polkadot", "specVersion": 1, "transactionVersion": 1}
    proxy.answers["state_getRuntimeVersion"] = lambda _: version
    async with Chain([proxy.url]) as chain:
        with pytest.raises(WrongChain, match="polkadot"):
            await chain.head()


async def test_an_endpoint_that_is_behind_is_passed_over_and_told(
    process: ChainProcess,
    proxies: tuple[Proxy, Proxy],
    caplog: pytest.LogCaptureFixture,
    fast_comparison: None,
) -> None:
    """B039: more than two blocks behind, and another one is configured."""
    case = cases("B039")["input"]["endpoints"]
    lag = case["A"]["best"] - case["B"]["best"]
    behind, good = proxies
    process.rpc("dev_newBlock", {"count": 20})
    async with Chain([behind.url, good.url]) as chain:
        assert (await chain.head()).number >= 20
        behind.behind = lag
        await asyncio.sleep(0.3)
        with caplog.at_level(logging.WARNING):
            for _ in range(20):
                number = (await chain.head()).number
                await asyncio.sleep(0.05)
        assert number >= 20
        assert f"chain endpoint is now {good.url}, not {behind.url}" in caplog.text
        assert "is at block" in caplog.text
        behind.behind = 0
        for _ in range(20):
            await chain.head()
            await asyncio.sleep(0.05)
        assert chain._access.current is not None
        assert chain._access.current.url == behind.url
    report_count("lagging endpoint (B039)", 1)


async def test_a_small_lag_is_no_reason_to_change(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    near, good = proxies
    process.rpc("dev_newBlock", {"count": 5})
    near.behind = 2
    async with Chain([near.url, good.url]) as chain:
        await chain.head()
        assert chain._access.current is not None
        assert chain._access.current.url == near.url


@pytest.fixture
def fast_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the endpoints' heads ten times a second."""
    monkeypatch.setattr(access, "COMPARE_EVERY", 0.1)


async def contract_on(chain: Chain) -> Contract:
    """A new contract, with all that it needs."""
    for key in (ALICE, BOB, CHARLIE):
        if await chain.twin_by_account(key.public_key) is None:
            await chain.accept_terms(key)
            await chain.create_twin(key)
    farm = await chain.farm_by_name("devfarm") or await chain.create_farm(ALICE, "devfarm")
    nodes = await chain.nodes(farm)
    if not nodes:
        await chain.create_node(BOB, farm=farm, resources=CAPACITY, location=PLACE, interfaces=[CARD])
        nodes = await chain.nodes(farm)
    made = await chain.create_node_contract(CHARLIE, nodes[0].id, secrets.token_hex(16), b"")
    return await chain.find_contract(made)


async def test_a_contract_that_the_endpoint_does_not_show_yet_is_waited_for(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    """B039: the only endpoint is behind; it catches up, and nothing was refused."""
    proxy, _ = proxies
    async with Chain([process.url]) as direct:
        contract = await contract_on(direct)
    proxy.behind = 5
    async with Chain([proxy.url]) as chain:
        assert await chain.contract(contract.contract_id) is None
        search = asyncio.create_task(chain.find_contract(contract.contract_id, patience=10))
        await asyncio.sleep(1.2)
        assert not search.done()
        proxy.behind = 0
        assert await search == contract


async def test_a_contract_is_looked_for_on_every_endpoint(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    behind, good = proxies
    async with Chain([process.url]) as direct:
        contract = await contract_on(direct)
    behind.behind = 2
    process.rpc("dev_newBlock")
    async with Chain([behind.url, good.url]) as chain:
        assert await chain.find_contract(contract.contract_id, patience=0.5) == contract


async def test_absence_is_told_with_the_highest_block_that_was_looked_at(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    behind, good = proxies
    number = int(process.rpc("chain_getHeader")["number"], 16)
    process.rpc("dev_newBlock", {"count": 2})
    behind.behind = 2
    async with Chain([behind.url, good.url, nowhere()]) as chain:
        with pytest.raises(NotFound, match=rf"up to block {number + 2}$"):
            await chain.find_contract(ContractId(77), patience=0.3)


async def test_an_endpoint_that_does_not_answer_costs_one_wait(
    proxies: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REQUEST_TIMEOUT", 0.5)
    mute, good = proxies
    async with Chain([mute.url, good.url]) as chain:
        await chain.head()
        mute.silent.add("chain_getHeader")
        chain._access.endpoints[0].failed("drop spare connections")
        chain._access.endpoints[0].worked()
        with monkeypatch.context() as patch:
            patch.setattr(connection.Connection.request, "__defaults__", ((), 0.5))
            asked = mute.seen["chain_getHeader"]
            assert (await chain.head()).number > 0
            await asyncio.gather(*(chain.head() for _ in range(5)))
            assert mute.seen["chain_getHeader"] == asked + 1


async def test_an_error_answer_is_an_answer(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, other = proxies

    def fault(_: list[object]) -> object:
        raise Fault(-32602, "Invalid params")

    proxy.answers["state_getStorage"] = fault
    async with Chain([proxy.url, other.url]) as chain:
        with pytest.raises(RpcError, match=r"Invalid params \(-32602\)"):
            await chain.now()
        proxy.answers.clear()
        assert await chain.now() > 0


async def test_answers_of_a_wrong_form_are_no_crash(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, good = proxies
    for junk in (7, "0xzz", ["x"], {"number": "x"}, {"number": None}):
        for method in ("chain_getHeader", "chain_getFinalizedHead", "state_getStorage"):
            proxy.answers[method] = partial(_same, junk)
        async with Chain([proxy.url, good.url]) as chain:
            assert (await chain.head()).number > 0
            assert await chain.now() > 0
        async with Chain([proxy.url], timeout=0.1) as chain:
            for read in (chain.head, chain.now, chain.finalised_head):
                with pytest.raises((ChainUnavailable, ChainError)):
                    await read()


async def test_a_message_over_the_limit_ends_the_connection(
    process: ChainProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_MESSAGE", 50_000)
    async with Chain([process.url], timeout=0.5) as chain:
        with pytest.raises(ChainUnavailable, match="more than 50000 bytes"):
            await chain.now()


async def test_closing_ends_what_waits(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    proxy.silent.add("chain_getHeader")
    chain = Chain([proxy.url])
    waiting = asyncio.create_task(chain.head())
    while not proxy.seen["chain_getHeader"]:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):  # the request itself would wait longer
        await chain.close()
        with pytest.raises(ChainClosed):
            await waiting
    with pytest.raises(ChainClosed):
        await chain.head()


async def test_cancelled_reads_and_closed_clients_leave_no_thread(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    proxy.silent.add("state_getStorage")
    async with Chain([proxy.url]) as chain:
        await chain.head()
        reads = [asyncio.create_task(chain.now()) for _ in range(6)]
        await asyncio.sleep(0.3)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    deadline = time.monotonic() + 60
    while own_threads() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert own_threads() == []


async def test_parallel_reads_share_few_connections(
    process: ChainProcess, proxies: tuple[Proxy, Proxy]
) -> None:
    proxy, _ = proxies
    async with Chain([proxy.url]) as chain:
        await asyncio.gather(*(chain.now() for _ in range(100)))
        assert len(own_threads()) <= endpoint.MAX_READS
        assert proxy.seen["state_getMetadata"] == 1


def _same(answer: object, _: list[object]) -> object:
    return answer


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("chain ")]
