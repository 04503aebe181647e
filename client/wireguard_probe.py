"""Is there really a WireGuard peer that knows us?  One handshake is begun, and its answer waited for.

The message is the first of the Noise_IKpsk2 handshake as the WireGuard paper has it (section 5.4): whoever answers it
has the peer's secret key and has ours in its list.  No session is used, and a tunnel that is up stays up.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import socket
import struct
import time
from base64 import b64decode
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from client.errors import ClientError
from client.wireguard_key import WireGuardKey

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1 = b"mac1----"
INITIATION, RESPONSE = 1, 2
RESPONSE_SIZE = 92
TRIES, TRY_S = 4, 1.5
TAI64_EPOCH = 0x400000000000000A
"""Second of TAI64N at which 1970 begins (ten seconds ahead of UTC)."""


async def check_endpoint(endpoint: str, peer: str, own: WireGuardKey) -> None:
    """Raises ClientError, which names the endpoint and what to do, when no handshake comes to pass.

    `peer` is the node's public key in base64; `own` has to be one that the node knows.
    """
    host, _, port = endpoint.rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[0]
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(), remote_addr=(str(address[0]), int(address[1])), family=family
        )
    except OSError as error:
        raise ClientError(
            f"endpoint {endpoint} cannot be reached from here: {error.strerror or error}"
        ) from error
    try:
        for _ in range(TRIES):
            transport.sendto(initiation(own.secret, b64decode(peer)))
            try:
                async with asyncio.timeout(TRY_S):
                    if await answers.handshake():
                        return
            except TimeoutError:
                continue
            except OSError as error:
                raise ClientError(
                    f"endpoint {endpoint} cannot be reached from here: {error.strerror or error}"
                ) from error
    finally:
        transport.close()
    raise ClientError(
        f"endpoint {endpoint} does not answer within {TRIES * TRY_S:g} s: it lies behind a router or firewall, or the "
        "node does not know your key; use a node with a public configuration"
    )


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._news: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._news.put_nowait(data)

    def error_received(self, exc: OSError) -> None:  # type: ignore[override]  # typeshed has Exception
        self._news.put_nowait(exc)

    async def handshake(self) -> bool:
        """Wait for an answer to a handshake.  Raises OSError for what the network says."""
        while True:
            found = await self._news.get()
            if isinstance(found, OSError):
                raise found
            if len(found) == RESPONSE_SIZE and found[0] == RESPONSE:
                return True


def initiation(own: bytes, peer: bytes, now: float | None = None) -> bytes:
    """The 148 bytes of a handshake initiation from the secret key `own` to the public key `peer`."""
    secret = secrets.token_bytes(32)
    ephemeral = crypto_scalarmult_base(secret)
    key = _hash(CONSTRUCTION)
    state = _hash(_hash(key + IDENTIFIER) + peer)
    key = _derive(key, ephemeral, 1)[0]
    state = _hash(state + ephemeral)
    key, cipher = _derive(key, crypto_scalarmult(secret, peer), 2)
    static = _seal(cipher, crypto_scalarmult_base(own), state)
    state = _hash(state + static)
    key, cipher = _derive(key, crypto_scalarmult(own, peer), 2)
    stamp = _seal(cipher, _tai64n(time.time() if now is None else now), state)
    message = struct.pack("<II", INITIATION, secrets.randbits(32)) + ephemeral + static + stamp
    mac1 = hashlib.blake2s(message, key=_hash(LABEL_MAC1 + peer), digest_size=16).digest()
    return message + mac1 + bytes(16)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.blake2s).digest()


def _derive(key: bytes, data: bytes, count: int) -> list[bytes]:
    """The KDF of the paper."""
    secret, last, found = _mac(key, data), b"", []
    for number in range(1, count + 1):
        last = _mac(secret, last + bytes([number]))
        found.append(last)
    return found


def _seal(key: bytes, text: bytes, associated: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(bytes(12), text, associated)


def _tai64n(now: float) -> bytes:
    whole = int(now)
    return struct.pack(">QI", TAI64_EPOCH + whole, int((now - whole) * 1e9))
