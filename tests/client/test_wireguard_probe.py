"""The first message of WireGuard's handshake, and who answers it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from client import wireguard_probe
from client.errors import ClientError
from client.wireguard_key import WireGuardKey
from client.wireguard_probe import CONSTRUCTION, IDENTIFIER, check_endpoint, initiation

USER, NODE = WireGuardKey.generate(), WireGuardKey.generate()


def opened(message: bytes, node: WireGuardKey) -> tuple[bytes, bytes]:
    """Whose key the initiation carries, and its time stamp, as the node reads it (WireGuard paper, section 5.4.2)."""

    def blake(data: bytes) -> bytes:
        return hashlib.blake2s(data).digest()

    def derive(key: bytes, data: bytes) -> tuple[bytes, bytes]:
        secret = hmac.new(key, data, hashlib.blake2s).digest()
        first = hmac.new(secret, b"\1", hashlib.blake2s).digest()
        return first, hmac.new(secret, first + b"\2", hashlib.blake2s).digest()

    public = crypto_scalarmult_base(node.secret)
    ephemeral, static, stamp = message[8:40], message[40:88], message[88:116]
    state = blake(blake(blake(CONSTRUCTION) + IDENTIFIER) + public)
    key = derive(blake(CONSTRUCTION), ephemeral)[0]
    state = blake(state + ephemeral)
    key, cipher = derive(key, crypto_scalarmult(node.secret, ephemeral))
    caller = ChaCha20Poly1305(cipher).decrypt(bytes(12), static, state)
    state = blake(state + static)
    key, cipher = derive(key, crypto_scalarmult(node.secret, caller))
    return caller, ChaCha20Poly1305(cipher).decrypt(bytes(12), stamp, state)


def test_the_node_reads_who_calls_and_when() -> None:
    message = initiation(USER.secret, crypto_scalarmult_base(NODE.secret), now=1_800_000_000.5)
    assert len(message) == 148
    assert message[:4] == struct.pack("<I", 1)
    caller, stamp = opened(message, NODE)
    assert caller == crypto_scalarmult_base(USER.secret)
    assert struct.unpack(">QI", stamp) == (0x400000000000000A + 1_800_000_000, 500_000_000)


class Node(asyncio.DatagramProtocol):
    """Answers whoever it knows with a message of a response's form."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        caller, _ = opened(data, NODE)
        if caller == crypto_scalarmult_base(USER.secret):
            self.transport.sendto(b"\2\0\0\0" + bytes(88), addr)


async def test_who_answers_is_reached_and_who_does_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wireguard_probe, "TRIES", 2)
    monkeypatch.setattr(wireguard_probe, "TRY_S", 0.3)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Node, local_addr=("127.0.0.1", 0))
    endpoint = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    try:
        monkeypatch.setattr(wireguard_probe, "TRY_S", 20.0)
        await check_endpoint(endpoint, NODE.public, USER)
        monkeypatch.setattr(wireguard_probe, "TRY_S", 0.3)
        with pytest.raises(ClientError, match=f"endpoint {endpoint} does not answer within"):
            await check_endpoint(endpoint, NODE.public, WireGuardKey.generate())
    finally:
        transport.close()
    with pytest.raises(ClientError, match="cannot be reached from here"):
        await check_endpoint("nowhere.invalid:51820", NODE.public, USER)
