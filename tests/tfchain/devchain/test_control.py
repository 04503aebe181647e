"""What tests of others can do to the chain: drive time, replace blocks, change its version, trouble an endpoint."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tfchain.devchain.driver import Driver, person
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain
from tfchain.devchain.chain import NothingToReorganise
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.rpc.arguments import Arguments
from tfchain.devchain.rpc.control import Control
from tfchain.devchain.validity import Refused
from tfchain.keys import Identity

ALICE, CHARLIE = person("//Alice"), person("//Charlie")
REMARK = "System.remark"


class Watched:
    """The statuses of one transaction."""

    def __init__(self, driver: Driver, value: int) -> None:
        self.statuses: list[str] = []
        call = driver.encode_call("Balances.transfer", {"dest": CHARLIE.address, "value": value})
        driver.chain.submit(driver.sign(ALICE, call), self.note)

    def note(self, status: Any) -> None:
        self.statuses.append(status if isinstance(status, str) else next(iter(status)))


@pytest.fixture
async def slow(driver: Driver) -> Driver:
    """A chain whose blocks do not become final."""
    driver.chain.finality_delay = 3600
    return driver


async def test_a_replaced_block_gives_its_transactions_back(slow: Driver) -> None:
    before = slow.balance(CHARLIE)
    watched = Watched(slow, 100)
    slow.chain.seal()
    old = slow.chain.head
    slow.chain.reorganise(1, keep_transactions=True)
    assert watched.statuses == ["ready", "inBlock", "retracted", "inBlock"]
    assert slow.balance(CHARLIE) == before + 100
    assert slow.chain.head.header.number == old.header.number + 1
    assert slow.chain.store.hash_of(old.header.number) != old.hash
    assert slow.chain.store.block_by_hash(old.hash) is None


async def test_transactions_of_a_replaced_block_may_be_lost(slow: Driver) -> None:
    before = slow.balance(CHARLIE)
    first, second = Watched(slow, 100), Watched(slow, 200)
    slow.chain.seal()
    slow.chain.reorganise(1, keep_transactions=False)
    assert first.statuses == second.statuses == ["ready", "inBlock", "retracted", "dropped"]
    assert slow.balance(CHARLIE) == before
    again = Watched(slow, 100)  # the nonce is free again
    slow.chain.seal()
    assert again.statuses == ["ready", "inBlock"]


async def test_final_blocks_stay(slow: Driver) -> None:
    depth = slow.chain.head.header.number - slow.chain.finalised.header.number
    with pytest.raises(NothingToReorganise, match="blocks are not final"):
        slow.chain.reorganise(depth + 1, keep_transactions=True)


async def test_the_state_after_a_reorganisation_is_that_of_the_database(slow: Driver) -> None:
    for value in (1, 2, 3):
        Watched(slow, value)
        slow.chain.seal()
    slow.chain.reorganise(2, keep_transactions=False)
    assert slow.chain.state.values == slow.store.newest_values()


async def test_blocks_become_final_in_order_whatever_the_delays(driver: Driver) -> None:
    numbers: list[int] = []
    driver.chain.finalised_listeners.append(lambda header, _: numbers.append(header.number))
    driver.chain.finality_delay = 3600
    driver.chain.seal()
    driver.chain.finality_delay = 0
    driver.chain.seal()
    await asyncio.sleep(0.05)
    last = driver.chain.head.header.number
    assert numbers == [last - 1, last]


def test_an_upgrade_wants_signatures_for_the_new_version(driver: Driver) -> None:
    old = driver.chain.head.header.number
    call = driver.encode_call("Balances.transfer", {"dest": CHARLIE.address, "value": 1})
    stale = driver.sign(ALICE, call)
    waiting = Watched(driver, 5)
    driver.chain.upgrade(150)
    assert waiting.statuses == ["ready", "dropped"]
    with pytest.raises(Refused, match="bad signature"):
        driver.chain.submit(stale)
    driver.interface = driver.chain.interface
    assert driver.call(ALICE, "Balances.transfer", dest=CHARLIE.address, value=1).ok
    assert driver.chain.versions.at(old).version["spec_version"] == 149
    assert driver.chain.versions.at(old + 1).version["spec_version"] == 150


def test_settings_are_kept_over_a_restart(tmp_path: Path) -> None:
    first = Driver(tmp_path)
    first.chain.upgrade(151)
    first.chain.set_grace_blocks(7)
    first.chain.set_clock_offset(3_600_000)
    first.close()
    second = Driver(tmp_path)
    assert second.chain.interface.version["spec_version"] == 151
    assert second.chain.clock_offset_ms == 3_600_000
    assert second.chain._rules.grace_blocks == 7
    second.close()


def test_a_month_of_hourly_windows_bills_every_window(tmp_path: Path) -> None:
    driver = Driver(tmp_path, bills=True)
    driver.make_twin(CHARLIE)
    assert driver.call(CHARLIE, "SmartContractModule.create_name_contract", name="mysite").ok
    frequency = Genesis().billing_frequency
    start = driver.chain.head.header.number
    month = {"count": 720 * frequency, "step": 3_600_000 // frequency}
    Control(driver.chain).new_block(Arguments([month]))
    bills, paid, hours = 0, 0, []
    for number in range(start + 1, driver.chain.head.header.number + 1):
        block = driver.store.block(number)
        assert block is not None
        for record in driver.records(block):
            content = record["event"].get("SmartContractModule", {})
            if "ContractBilled" in content:
                bills += 1
                hours.append(content["ContractBilled"]["timestamp"])
            paid += "TokensBurned" in content
    assert bills == 720
    assert all(3590 <= later - earlier <= 3610 for earlier, later in pairwise(hours))
    assert paid == 720 // 24  # what is locked is paid out every 24 bills
    driver.close()


def test_a_contract_is_billed_out_of_turn(process: ChainProcess) -> None:
    number = int(process.rpc("chain_getHeader")["number"], 16)
    block = process.rpc("dev_bill", 99)  # there is none: nothing happens, in a block of its own
    assert int(process.rpc("chain_getHeader", block)["number"], 16) > number


def test_an_endpoint_lags_and_knows_nothing_newer(process: ChainProcess) -> None:
    process.rpc("dev_newBlock", {"count": 10})
    process.rpc("dev_setBlockBuildMode", "Manual")
    newest = process.rpc("chain_getBlockHash")
    head = int(process.rpc("chain_getHeader")["number"], 16)
    behind = process.beside(process.rpc("dev_openEndpoint", {"lag": 4}))
    assert int(behind("chain_getHeader")["number"], 16) == head - 4
    assert behind("chain_getHeader", newest) is None
    assert behind("chain_getBlockHash", head) is None
    assert behind("chain_getBlockHash", head - 4) == process.rpc("chain_getBlockHash", head - 4)
    number = behind("state_getStorage", "0x" + _SYSTEM_NUMBER)
    assert int.from_bytes(bytes.fromhex(number[2:]), "little") == head - 4
    process.rpc("dev_setTroubles", {"older_state": 3})
    assert int(process.rpc("chain_getHeader")["number"], 16) == head
    older = process.rpc("state_getStorage", "0x" + _SYSTEM_NUMBER)
    assert int.from_bytes(bytes.fromhex(older[2:]), "little") == head - 3
    process.rpc("dev_setTroubles", {})
    assert process.rpc("dev_closeEndpoint", behind.port) is True
    assert process.rpc("dev_closeEndpoint", behind.port) is False


_SYSTEM_NUMBER = "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"


@pytest.mark.parametrize("wanted", [{"lag": -1}, {"lag": True}, {"mute": 1}, {"lagging": 1}, ["lag"]])
def test_troubles_that_do_not_exist_are_named(process: ChainProcess, wanted: Any) -> None:
    answer = process.post({"id": 1, "method": "dev_setTroubles", "params": [wanted]})
    assert answer["error"]["code"] == -32602


async def test_connections_are_cut_and_a_mute_endpoint_stays_mute(process: ChainProcess) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(process.url) as socket:
        await socket.send_json({"id": 1, "method": "dev_setTroubles", "params": [{"mute": True}]})
        assert (await socket.receive_json(timeout=20))["result"] is None
        await socket.send_json({"id": 2, "method": "system_chain", "params": []})
        await socket.send_json({"id": 3, "method": "dev_dropConnections", "params": []})
        assert (await socket.receive_json(timeout=20))["id"] == 3
        ended = await socket.receive(timeout=20)
        assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    process.rpc("dev_setTroubles", {})
    assert process.rpc("system_chain") == "Development"


async def test_a_client_lives_through_all_of_it(process: ChainProcess) -> None:
    lagging = process.beside(process.rpc("dev_openEndpoint", {"lag": 2}))
    key = Identity.generate()
    async with Chain([lagging.url, process.url]) as chain:
        await chain.transfer(ALICE, key.public_key, 10_000_000)
        assert await chain.balance(key.public_key) == 10_000_000
        process.rpc("dev_dropConnections")
        lagging("dev_dropConnections")
        assert await chain.balance(key.public_key) == 10_000_000
        process.rpc("dev_setRuntimeVersion", 150)
        await chain.transfer(ALICE, key.public_key, 5)
        assert await chain.balance(key.public_key) == 10_000_005


async def test_subscribers_hear_of_a_new_version(process: ChainProcess) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(process.url) as socket:
        await socket.send_json({"id": 1, "method": "state_subscribeRuntimeVersion", "params": []})
        assert "result" in await socket.receive_json(timeout=20)
        first = await socket.receive_json(timeout=20)
        assert first["params"]["result"]["specVersion"] == 149
        await asyncio.to_thread(process.rpc, "dev_setRuntimeVersion", 150)
        second = await socket.receive_json(timeout=20)
        assert second["params"]["result"]["specVersion"] == 150
