"""A chain with twins, relays of ours, and peers that speak the wire and nothing more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from rmb.gen2.envelope import SCHEMA, Body, Envelope, Plain, Request
from rmb.gen2.session import Session
from rmb.gen2.token import make_token
from tests.tfchain.devchain.process import ChainProcess, free_port
from tfchain.keys import Identity

DOMAIN = "relay.example.org"
OTHER_DOMAIN = "elsewhere.example.org"
START_S = 90.0
ANSWER_S = 90.0

PEOPLE = [Identity.from_seed(bytes([number]) * 32) for number in range(1, 7)]
"""Twins 1 … 6."""
RELAYS = [DOMAIN, DOMAIN, DOMAIN, OTHER_DOMAIN, None, DOMAIN]
"""What each has registered."""


@contextlib.contextmanager
def chain_with_twins(folder: Path, *, port: int | None = None) -> Iterator[ChainProcess]:
    genesis = folder / "genesis.json"
    genesis.write_text(
        json.dumps(
            {
                "accounts": {person.public_key.hex(): 10**12 for person in PEOPLE} | {"//Alice": 1 << 60},
                "twins": [
                    {"account": person.public_key.hex(), "relay": relay}
                    for person, relay in zip(PEOPLE, RELAYS, strict=True)
                ],
            }
        )
    )
    process = ChainProcess(folder, "--genesis", str(genesis), port=port)
    process.start()
    try:
        yield process
    finally:
        process.stop()


class RelayProcess:
    """`rmb-relay`, which may be killed and started again."""

    def __init__(self, folder: Path, chain: ChainProcess, *flags: str, port: int | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._chain = chain
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        domain = () if "--domain" in self._flags else ("--domain", DOMAIN)
        with (self.folder / "relay.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "rmb.relay_cli", *domain,
                    "--listen", f"127.0.0.1:{self.port}",
                    "--substrate", self._chain.url,
                    "--store", str(self.folder / "messages.db"),
                    *self._flags,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "ZOS_RELAY_DRAIN": "0"},
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.get("/health")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "relay.log").read_text()) from None
                time.sleep(0.05)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            self._process.wait(30)


@contextlib.contextmanager
def relay(folder: Path, chain: ChainProcess, *flags: str, port: int | None = None) -> Iterator[RelayProcess]:
    process = RelayProcess(folder, chain, *flags, port=port)
    process.start()
    try:
        yield process
    finally:
        process.stop()


class Peer:
    """A connected session of a twin."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: Session) -> None:
        self.socket = socket
        self.session = session

    async def send(self, to: Session | None, text: str = "hello", **fields: Any) -> bytes:
        """Send a request, or what `body` says; the bytes that went out."""
        raw = message(self.session, to, text, **fields)
        await self.socket.send_bytes(raw)
        return raw

    async def receive(self) -> bytes:
        data = await self.socket.receive_bytes(timeout=ANSWER_S)
        return bytes(data)

    async def error(self) -> str:
        """The text of the relay's error, after its form was checked."""
        envelope = Envelope.decode(await self.receive())
        assert envelope.source is None
        assert envelope.signature is None
        assert envelope.payload is None
        assert envelope.destination == self.session
        assert envelope.expiration == 300
        return envelope.body.message  # type: ignore[union-attr]  # of an Error


def message(
    source: Session, to: Session | None, text: str = "hello", *, body: Body | None = None, **fields: Any
) -> bytes:
    return Envelope(
        uid=fields.pop("uid", str(uuid.uuid4())),
        timestamp=fields.pop("timestamp", int(time.time())),
        expiration=fields.pop("expiration", 300),
        source=source,
        destination=to,
        body=body or Request("zos.test"),
        schema=SCHEMA,
        payload=Plain(text.encode()),
        **fields,
    ).encode()


def token(session: Session, **changes: Any) -> str:
    person = changes.pop("signer", None) or PEOPLE[session.twin - 1]
    return make_token(session, person, changes.pop("now", int(time.time())), **changes)


@contextlib.asynccontextmanager
async def peer(url: str, twin: int, connection: str | None = None) -> AsyncIterator[Peer]:
    session = Session(twin, connection)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}?{token(session)}", max_msg_size=0) as socket,
    ):
        yield Peer(socket, session)


async def until_connected(process: RelayProcess, count: int) -> None:
    """Wait until so many sessions are connected."""
    async with asyncio.timeout(ANSWER_S):
        while f" {count} sessions" not in await asyncio.to_thread(process.get, "/health"):
            await asyncio.sleep(0.02)


async def until_stored(process: RelayProcess, session: Session, raw: bytes) -> None:
    """Wait until a message is the newest that the relay's file holds for a session."""
    async with asyncio.timeout(ANSWER_S):
        while await asyncio.to_thread(_newest, process.folder / "messages.db", str(session)) != raw:
            await asyncio.sleep(0.05)


def _newest(path: Path, session: str) -> bytes | None:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        row = db.execute(
            "SELECT body FROM message WHERE session = ? ORDER BY id DESC LIMIT 1", (session,)
        ).fetchone()
    return None if row is None else bytes(row[0])
