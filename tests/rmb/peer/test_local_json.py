"""Local programs of generation 2, which know the JSON of the existing `rmb-peer`, on both sides of a call."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rmb
from rmb import direct
from rmb.errors import MessageError
from rmb.gen1.message import Message
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.session import Session
from rmb.peer import local_json
from rmb.redis_link import RedisLink
from tests.rmb.blocking_pop import blocking_pop
from tests.rmb.peer.local_peer import local_peer
from tests.rmb.redis_server import redis_server
from tests.rmb.relay.grid import PEOPLE, RelayProcess
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain

WAIT_S = 60


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_answer_has_the_shape_that_clients_of_generation_2_read() -> None:
    answer = Message(source=7, data=_b64("42"), schema="application/json", now=5, reference="mine")
    assert json.loads(local_json.response(answer)) == {
        "ver": 1,
        "ref": "mine",
        "dat": _b64("42"),
        "src": "7",
        "shm": "application/json",
        "now": 5,
        "err": None,
    }
    failed = json.loads(local_json.response(Message(source=7, error="no", data="x", reference="")))
    assert (failed["err"], failed["dat"]) == ({"code": 255, "message": "no"}, "")
    own = json.loads(local_json.response(Message(source=7, error="no", error_code=3, reference="")))
    assert own["err"]["code"] == 3
    local = json.loads(local_json.response(Message(error="all retries done: gone", reference="")))
    assert (local["err"]["code"], local["src"]) == (500, "")


def test_a_request_and_its_reply_find_back() -> None:
    request = Message(uid="7.1", command="a.b", source=7, expiration=30, now=5, data=_b64("1"), tag="x")
    told = json.loads(local_json.request(request, Session(7, "cli")))
    assert (told["src"], told["ref"], told["ret"], told["tag"]) == (
        "7:cli",
        "7.1",
        "msgbus.system.reply",
        "x",
    )
    raw = json.dumps({"ver": 1, "ref": told["ref"], "dat": _b64("2"), "dst": told["src"], "now": 6}).encode()
    assert local_json.is_reply(raw)
    reply = local_json.reply(raw, 9)
    assert (reply.uid, reply.source, reply.destinations, reply.data) == ("7.1", 9, (7,), _b64("2"))
    proxied = json.loads(local_json.request(Message(proxied=True, reply_to="list", source=7), Session(7)))
    back = local_json.reply(json.dumps({"ref": proxied["ref"], "dst": "7"}).encode(), 9)
    assert (back.proxied, back.reply_to, back.uid) == (True, "list", "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dst": "seven"}, "'seven' is no twin id"),
        ({"err": "no"}, "err is an object"),
        ({"err": {"code": 1}}, "err is an object"),
        ({"dat": 5}, "dat and shm are texts"),
        ({"now": "5"}, "now is a time in seconds"),
        ({"now": 2**70}, "now is a time in seconds"),
    ],
)
def test_a_broken_reply_is_named(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        local_json.reply(json.dumps({"ref": "1", "dst": "7", **fields}).encode(), 9)


@pytest.mark.parametrize(
    ("code", "carried"),
    [(1, 1), (255, 255), (2**32 - 1, 2**32 - 1), (0, 255), (-1, 255), (2**32, 255), ("7", 255)],
)
def test_the_number_of_an_error_fits_the_wire(code: Any, carried: int) -> None:
    raw = json.dumps({"ref": "1", "dst": "7", "err": {"code": code, "message": "no"}}).encode()
    assert local_json.reply(raw, 9).error_code == carried


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"dst":[1],"ref":"x"}', b'{"dst":"1"}', b"[" * 9999])
def test_other_replies_are_of_generation_1(raw: bytes) -> None:
    assert not local_json.is_reply(raw)


async def _serve(link: RedisLink, command: str, work: Callable[[Any], Any]) -> None:
    """A service as somebody writes it in another language."""
    while True:
        request = json.loads(await blocking_pop(link, f"msgbus.{command}", 600))
        reply = {
            "ver": 1,
            "ref": request["ref"],
            "dst": request["src"],
            "shm": request["shm"],
            "now": int(time.time()),
        }
        try:
            reply["dat"] = _b64(json.dumps(work(json.loads(base64.b64decode(request["dat"])))))
        except ValueError as problem:
            reply["err"] = {"code": 4711, "message": str(problem)}
        await link.command("LPUSH", request["ret"], json.dumps(reply))


async def _ask(link: RedisLink, twin: int, command: str, payload: Any, **more: Any) -> dict[str, Any]:
    """A call as a client of generation 2 makes it."""
    request = {
        "ver": 1,
        "ref": "mine",
        "cmd": command,
        "exp": 60,
        "dat": _b64(json.dumps(payload)),
        "dst": [twin],
        "ret": str(uuid.uuid4()),
        "shm": "application/json",
        "now": 0,
        **more,
    }
    await link.command("RPUSH", "msgbus.system.local", json.dumps(request))
    answer: dict[str, Any] = json.loads(await blocking_pop(link, request["ret"], WAIT_S, command="BLPOP"))
    return answer


async def test_clients_and_services_of_both_generations_meet(
    tmp_path: Path,
    redis_socket: str,
    chain: ChainProcess,
    hub: RelayProcess,
) -> None:
    def refuse(_: Any) -> Any:
        raise ValueError("not today")

    router = rmb.Router(redis_socket)

    async def old(request: rmb.Request) -> Any:
        return sum(request.json())

    router.subroute("old").handle("add", old)
    with redis_server() as other:
        async with (
            local_peer(tmp_path, 1, redis_socket, chain, hub, "app") as services,
            local_peer(tmp_path, 2, other, chain, hub) as clients,
            await rmb.connect(other) as first_generation,
            Chain([chain.url]) as client,
        ):
            tasks = [
                asyncio.create_task(_serve(services, "app.add", sum)),
                asyncio.create_task(_serve(services, "app.refuse", refuse)),
                asyncio.create_task(router.serve()),
            ]
            try:
                answer = await _ask(clients, 1, "app.add", [20, 22])
                assert (answer["ref"], answer["src"], answer["err"]) == ("mine", "1", None)
                assert json.loads(base64.b64decode(answer["dat"])) == 42
                assert answer["shm"] == "application/json"
                refused = await _ask(clients, 1, "app.refuse", None)
                assert refused["err"] == {"code": 4711, "message": "not today"}
                mixed = await _ask(clients, 1, "old.add", [1, 2])
                assert json.loads(base64.b64decode(mixed["dat"])) == 3
                assert await first_generation.call(1, "app.add", [3, 4], timeout=WAIT_S) == 7
                nobody = await _ask(clients, 77, "app.add", [1], exp=2)
                assert nobody["err"]["code"] == 500
                assert nobody["src"] == ""
                empty = await _ask(clients, 1, "", [1])
                assert "missing command request" in empty["err"]["message"]
                key = EncryptionKey(bytes([3]) * 32)
                async with direct.connect(
                    [hub.url], client, PEOPLE[2], 3, session="named", encryption=key
                ) as bus:
                    assert await bus.call(Session(1), "app.add", [5, 6], timeout=WAIT_S) == 11
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
