"""What is fuzzed: everything that reads bytes of strangers before it knows whether they are worth anything."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gridtypes import DecodeError, Deployment
from gridtypes.errors import InvalidDeployment
from gridtypes.go_url import parse_url
from gridtypes.host_port import split_host_port
from gridtypes.timestamp import parse_timestamp
from rmb.errors import MessageError
from rmb.gen1.message import Message
from rmb.gen2.encryption import EncryptionError, decrypt
from rmb.gen2.envelope import Envelope
from rmb.gen2.session import Session, parse_stream_id
from rmb.gen2.token import Token, TokenError
from tests.rmb.relay.test_hostile import SENDER, router
from tests.tfchain.devchain.driver import Driver
from tfchain.codec import metadata as v14
from tfchain.codec.address import AddressError, decode_address
from tfchain.codec.extrinsic import decode_extrinsic
from tfchain.codec.header import Header
from tfchain.codec.scale import Reader, ScaleError
from tfchain.devchain.interface import interface
from tfchain.devchain.rpc.errors import INTERNAL
from tfchain.devchain.rpc.server import Server
from tfchain.devchain.validity import Refused
from tfchain.secret import SecretError
from tfchain.secret import parse as parse_secret


@dataclass(frozen=True)
class Target:
    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    """What reading may raise; anything else is a fault."""
    seeds: tuple[bytes, ...] = ()


_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-chain-")


@cache
def _driver() -> Driver:
    return Driver(Path(_FOLDER.name))


@cache
def _server() -> Server:
    return Server(_driver().chain, control=False)


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: read(raw.decode("latin-1"))


def _blobs(raw: bytes) -> None:
    reader = Reader(raw)
    for _ in range(reader.compact()):
        reader.blob()


def _events(raw: bytes) -> None:
    interface().codec.decode(interface().event_records_type, raw)


def _rpc(raw: bytes) -> None:
    """A message to the chain is answered; an internal error is a fault of ours."""
    answer, _ = _server()._answer(raw.decode(errors="replace"), None)
    text = json.dumps(answer)
    for one in answer if isinstance(answer, list) else [answer]:
        if one is not None and one.get("error", {}).get("code") == INTERNAL:
            raise AssertionError(f"internal error: {text}")


def _submit(raw: bytes) -> None:
    _driver().chain.submit(raw)


def _route(raw: bytes) -> None:
    routes, _ = router()
    routes.from_peer(SENDER, raw)


def _message(raw: bytes) -> None:
    message = Message.from_json(raw)
    message.challenge()
    assert Message.from_json(message.to_json()) == message, "it reads otherwise what it wrote"


def _envelope(raw: bytes) -> None:
    envelope = Envelope.decode(raw)
    envelope.challenge()
    assert Envelope.decode(envelope.encode()) == envelope, "it reads otherwise what it wrote"


def _deployment(raw: bytes) -> None:
    deployment = Deployment.from_json(raw)
    written = deployment.to_json()
    assert Deployment.from_json(written).to_json() == written, "it reads otherwise what it wrote"
    deployment.challenge()
    deployment.check()


def _session(text: str) -> None:
    assert Session.parse(str(Session.parse(text))) == Session.parse(text)


def _request(method: str, *params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


RPC_SEEDS = (
    _request("system_health"),
    _request("state_getStorage", "0x26aa394eea5630e07c48ae0c9558cef7"),
    _request("state_getKeysPaged", "0x26aa", 5, "0x26aa"),
    _request("state_queryStorageAt", ["0x26aa"], None),
    _request("chain_getBlockHash", [0, "0x1"]),
    _request("payment_queryInfo", "0x280403000b63ce64c10c0541"),
    b"[" + _request("chain_getHeader") + b"," + _request("rpc_methods") + b"]",
)
DEPLOYMENT = (
    b'{"version":0,"twin_id":1,"contract_id":2,"metadata":"","description":"","expiration":0,'
    b'"signature_requirement":{"requests":[{"twin_id":1,"required":false,"weight":1}],"weight_required":1,'
    b'"signatures":[],"signature_style":""},"workloads":[{"version":0,"name":"disk","type":"zmount",'
    b'"data":{"size":10737418240},"metadata":"","description":"","result":{"created":0,"state":"","message":"",'
    b'"data":null}}]}'
)

TARGETS: dict[str, Target] = {
    "chain-call": Target(lambda raw: interface().decode_call(raw), (ScaleError,), (b"\x00\x00\x04a",)),
    "chain-extrinsic": Target(decode_extrinsic, (ScaleError,), (b"\x84\x00",)),
    "chain-header": Target(Header.decode, (ScaleError,), (bytes(99),)),
    "chain-events": Target(_events, (ScaleError,), (b"\x04\x00\x00\x00\x00\x00\x00\x00",)),
    "chain-blobs": Target(_blobs, (ScaleError,), (b"\x04\x04a",)),
    "chain-metadata": Target(v14.parse, (ScaleError,), (b"meta\x0e\x00",)),
    "chain-submit": Target(_submit, (Refused,), (b"\x84\x00",)),
    "chain-rpc": Target(_rpc, (), RPC_SEEDS),
    "chain-address": Target(
        _text(decode_address), (AddressError,), (b"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",)
    ),
    "chain-secret": Target(_text(parse_secret), (SecretError,), (b"//Alice///pass",)),
    "bus-message": Target(_message, (MessageError,), (b'{"ver":1,"uid":"a","cmd":"b.c","dst":[1],"now":5}',)),
    "bus-envelope": Target(_envelope, (MessageError,), (b"\x0a\x01u\x10\x05\x18\x3c",)),
    "bus-route": Target(_route, (MessageError,), (b"\x0a\x01u\x10\x05\x18\x3c",)),
    "bus-token": Target(_text(Token.parse), (TokenError,), (b"e30.e30.AA",)),
    "bus-cipher": Target(lambda raw: decrypt(bytes(32), raw), (EncryptionError,), (bytes(28),)),
    "bus-session": Target(_text(_session), (MessageError,), (b"1:abc", b"9" * 5000)),
    "bus-stream-id": Target(_text(parse_stream_id), (MessageError,), (b"1-2", b"9" * 5000)),
    "grid-deployment": Target(_deployment, (DecodeError, InvalidDeployment), (DEPLOYMENT,)),
    "grid-url": Target(_text(parse_url), (ValueError,), (b"http://[::1]:80/a%20b?c=d#e",)),
    "grid-host-port": Target(_text(split_host_port), (ValueError,), (b"[::1]:80",)),
    "grid-timestamp": Target(_text(parse_timestamp), (ValueError,), (b"1700000000", b"9" * 5000)),
}


def _any(raw: bytes) -> None:
    """The first byte says which target reads the rest."""
    if raw:
        target = list(TARGETS.values())[raw[0] % len(TARGETS)]
        try:
            target.read(raw[1:])
        except target.refuses:
            pass


ANY = Target(
    _any,
    (),
    tuple(bytes([place]) + seed for place, target in enumerate(TARGETS.values()) for seed in target.seeds),
)
"""All of them in one process."""
