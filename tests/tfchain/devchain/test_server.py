"""The process as its clients meet it: py-substrate-interface unmodified, and raw JSON-RPC."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from substrateinterface import Keypair, SubstrateInterface
from substrateinterface.exceptions import SubstrateRequestException

from tests.tfchain.devchain.driver import NODE
from tests.tfchain.devchain.process import ChainProcess
from tfchain.codec.header import Header
from tfchain.keys import Identity

HASH = "0x" + b"06e5c0d0f9eabd9525e5f9dc4f6f37cf".hex()
BOUNDED = {"bounded_collections::bounded_vec::BoundedVec": "BoundedVec"}


@pytest.fixture
def client(process: ChainProcess) -> Iterator[Any]:
    with SubstrateInterface(url=process.url, ss58_format=42, type_registry={"types": BOUNDED}) as made:
        yield made


def _send(client: Any, who: str, pallet: str, call: str, **arguments: Any) -> Any:
    composed = client.compose_call(pallet, call, arguments)
    extrinsic = client.create_signed_extrinsic(composed, Keypair.create_from_uri(who))
    return client.submit_extrinsic(extrinsic, wait_for_inclusion=True)


def _register(client: Any, who: str) -> None:
    _send(client, who, "TfgridModule", "user_accept_tc", document_link="https://x/y", document_hash="1a2b")
    assert _send(client, who, "TfgridModule", "create_twin", relay=None, pk=None).is_success


def test_substrate_interface_registers_and_makes_a_contract(client: Any) -> None:
    for who in ("//Alice", "//Bob", "//Charlie"):
        _register(client, who)
    address = {"ip": "185.206.122.33/24", "gw": "185.206.122.1"}
    farm = _send(client, "//Alice", "TfgridModule", "create_farm", name="devfarm", public_ips=[address])
    assert farm.is_success, farm.error_message
    assert _send(client, "//Bob", "TfgridModule", "create_node", **NODE).is_success
    receipt = _send(
        client,
        "//Charlie",
        "SmartContractModule",
        "create_node_contract",
        node_id=1,
        deployment_hash=HASH,
        deployment_data="data",
        public_ips=1,
        solution_provider_id=None,
    )
    assert receipt.is_success
    events = [event.value["event_id"] for event in receipt.triggered_events]
    assert events[:2] == ["Withdraw", "ContractCreated"]
    contract = client.query("SmartContractModule", "Contracts", [1]).value
    assert contract["contract_type"]["NodeContract"]["public_ips_list"][0]["contract_id"] == 1
    assert [key.value for key, _ in client.query_map("TfgridModule", "Twins")] != []
    assert len(list(client.query_map("TfgridModule", "Twins"))) == 3


def test_substrate_interface_gets_the_error_by_name_and_waits_for_finality(client: Any) -> None:
    failed = _send(client, "//Alice", "TfgridModule", "create_twin", relay=None, pk=None)
    assert failed.error_message["name"] == "UserDidNotSignTermsAndConditions"
    composed = client.compose_call(
        "TfgridModule", "user_accept_tc", {"document_link": "https://x/y", "document_hash": "a"}
    )
    extrinsic = client.create_signed_extrinsic(
        composed, Keypair.create_from_uri("//Alice"), era={"period": 64}
    )
    assert client.get_payment_info(composed, Keypair.create_from_uri("//Alice"))["partialFee"] > 10_000
    assert client.submit_extrinsic(extrinsic, wait_for_finalization=True).finalized
    with pytest.raises(SubstrateRequestException, match="1010"):
        client.submit_extrinsic(extrinsic, wait_for_inclusion=True)


def test_rpc_methods_lists_exactly_what_is_served(process: ChainProcess) -> None:
    listed = process.rpc("rpc_methods")["methods"]
    for method in listed:
        answer = process.post({"jsonrpc": "2.0", "id": 1, "method": method})
        if "ubscri" in method or "Watch" in method or "unwatch" in method:
            continue  # these need a WebSocket
        assert answer.get("error", {}).get("code") != -32601, method
        assert answer.get("error", {}).get("code") != -32603, (method, answer)
    unknown = process.post({"jsonrpc": "2.0", "id": 1, "method": "state_nothing"})
    assert unknown["error"]["code"] == -32601


def test_old_blocks_are_readable_and_unknown_ones_say_so(process: ChainProcess) -> None:
    key = "0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"
    process.rpc("dev_newBlock", {"count": 3})
    second = process.rpc("chain_getBlockHash", 2)
    assert process.rpc("state_getStorage", key, second) == "0x02000000"
    assert process.rpc("state_queryStorageAt", [key], second)[0]["changes"] == [[key, "0x02000000"]]
    ask = {"jsonrpc": "2.0", "id": 1, "method": "state_queryStorageAt", "params": [[key], "0x" + "77" * 32]}
    assert process.post(ask)["error"]["code"] == -32000


def test_batches_and_broken_requests_are_answered(process: ChainProcess) -> None:
    both = process.post(
        [
            {"jsonrpc": "2.0", "id": 1, "method": "system_chain"},
            {"jsonrpc": "2.0", "id": 2, "method": "system_name", "params": None},
        ]
    )
    assert [each["id"] for each in both] == [1, 2]
    assert process.post([])["error"]["code"] == -32600
    assert process.post({"id": 1})["error"]["code"] == -32600


def test_a_message_that_is_nested_too_deeply_is_refused_and_the_process_lives(process: ChainProcess) -> None:
    def post(path: str) -> Any:
        address = f"http://127.0.0.1:{process.port}{path}"
        request = urllib.request.Request(address, data=b"[" * 200_000, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    assert post("/")["error"]["code"] == -32700
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post("/activation")
    assert process.rpc("system_chain") == "Development"


def test_activation_gives_the_first_token_once(process: ChainProcess) -> None:
    user = Identity.generate()
    assert process.post({"substrateAccountID": user.address}, "/activation/activate")
    with pytest.raises(OSError, match="409"):
        process.post({"substrateAccountID": user.address}, "/activation")
    with pytest.raises(OSError, match="400"):
        process.post({"substrateAccountID": "nobody"}, "/activation")


async def test_heads_come_when_idle_and_hash_to_their_block(
    process: ChainProcess,
) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(process.url) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "chain_subscribeNewHeads", "params": []})
        answer = await socket.receive_json(timeout=60)
        assert isinstance(answer["result"], str)  # the id comes before its first push
        first = await socket.receive_json(timeout=60)
        head = await socket.receive_json(timeout=60)
        header = Header.from_json(head["params"]["result"])
        assert header.parent == Header.from_json(first["params"]["result"]).hash
        assert await asyncio.to_thread(process.rpc, "chain_getBlockHash", header.number) == (
            "0x" + header.hash.hex()
        )


async def test_a_subscriber_that_does_not_read_never_holds_up_a_block(process: ChainProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=1024)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    for number in range(200):
        writer.write(
            _frame({"jsonrpc": "2.0", "id": number, "method": "chain_subscribeNewHeads", "params": []})
        )
    await writer.drain()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(process.rpc, "dev_newBlock", {"count": 100})
    writer.close()
    assert await asyncio.to_thread(process.rpc, "system_chain") == "Development"


def _frame(message: Any) -> bytes:
    """One masked text frame; the mask is zero."""
    payload = json.dumps(message).encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


def test_too_large_a_message_ends_the_connection_and_not_the_chain(process: ChainProcess) -> None:
    with pytest.raises(OSError, match=r"413|reset|pipe|closed"):
        process.post({"jsonrpc": "2.0", "id": 1, "method": "system_chain", "params": ["x" * (5 << 20)]})
    assert process.rpc("system_chain") == "Development"


def test_what_was_included_is_there_after_kill_9(process: ChainProcess) -> None:
    user = Keypair.create_from_uri("//Alice")
    genesis = process.rpc("chain_getBlockHash", 0)
    with SubstrateInterface(url=process.url, ss58_format=42) as client:
        call = client.compose_call("TFKVStore", "set", {"key": "k", "value": "v"})
        extrinsic = client.create_signed_extrinsic(call, user)
        receipt = client.submit_extrinsic(extrinsic, wait_for_inclusion=True)
    process.kill()
    process.start()
    assert process.rpc("chain_getBlockHash", 0) == genesis
    block = process.rpc("chain_getBlock", receipt.block_hash)["block"]
    assert "0x" + bytes(extrinsic.data.data).hex() in block["extrinsics"]
    with SubstrateInterface(url=process.url, ss58_format=42) as client:
        assert client.query("TFKVStore", "TFKVStore", [user.ss58_address, "k"]).value == "v"
        assert client.query("System", "Account", [user.ss58_address]).value["nonce"] == 1


def test_time_goes_on_after_time_travel_and_a_restart(process: ChainProcess) -> None:
    later = int(time.time() * 1000) + 40 * 86_400_000
    process.rpc("dev_timeTravel", later)
    process.kill()
    process.start()
    key = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb"
    now = int.from_bytes(bytes.fromhex(process.rpc("state_getStorage", key)[2:]), "little")
    assert later <= now < later + 60_000
