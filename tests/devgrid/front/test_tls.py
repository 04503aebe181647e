"""Certificates that are good for one grid, and TLS that leads to the service that was named."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from devgrid import expose
from devgrid.front import certificates, names
from devgrid.front.certificates import Certificates
from devgrid.front.tls import Terminator

NOW = datetime.now(UTC)
DOMAINS = (names.DOMAIN, names.KYC)


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return certificates.ensure(tmp_path / "front", DOMAINS, names.ALL, NOW)


async def _service(word: bytes) -> tuple[asyncio.Server, int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(word + await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])


@pytest.fixture
async def front(made: Certificates) -> AsyncIterator[int]:
    """A port behind which are a relay and, for other names, a web side."""
    relay, relay_port = await _service(b"relay ")
    web, web_port = await _service(b"web ")
    services = {names.CHAIN: partial(asyncio.open_connection, "127.0.0.1", relay_port)}
    terminator = Terminator(made, services, partial(asyncio.open_connection, "127.0.0.1", web_port))
    await terminator.start("127.0.0.1", 0)
    yield terminator.port
    await terminator.close()
    for server in (relay, web):
        server.close()


async def _say(port: int, name: str, trusted: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(trusted))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    return answer


async def test_bytes_go_to_the_service_that_was_named(front: int, made: Certificates) -> None:
    assert await _say(front, names.CHAIN, made.authority) == b"relay hello\n"
    assert await _say(front, names.PROXY, made.authority) == b"web hello\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        await _say(front, "example.org", made.authority)


async def test_a_service_that_is_away_ends_the_connection_and_nothing_else(made: Certificates) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = partial(asyncio.open_connection, "127.0.0.1", free.getsockname()[1])
        terminator = Terminator(made, {}, nobody)
        await terminator.start("127.0.0.1", 0)
        try:
            for _ in range(2):
                assert await _say(terminator.port, names.PROXY, made.authority) == b""
        finally:
            await terminator.close()


def test_the_authority_can_sign_for_the_grid_only_and_its_key_is_nowhere(made: Certificates) -> None:
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert [name.value for name in limits.value.permitted_subtrees or ()] == list(DOMAINS)
    for path in made.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    key = serialization.load_pem_private_key(made.key.read_bytes(), None)
    assert key.public_key() != authority.public_key()
    assert sorted(path.name for path in made.folder.iterdir()) == ["ca.pem", "front.key", "front.pem"]


def test_a_certificate_stays_until_it_is_old_or_other_names_are_wanted(made: Certificates) -> None:
    before = made.chain.read_bytes()
    again = partial(certificates.ensure, made.folder, DOMAINS)
    again(names.ALL, NOW + timedelta(days=300))
    assert made.chain.read_bytes() == before
    again((*names.ALL, "more.devgrid"), NOW)
    other = made.chain.read_bytes()
    assert other != before
    again((*names.ALL, "more.devgrid"), NOW + timedelta(days=340))
    assert made.chain.read_bytes() != other
    made.key.write_bytes(b"broken")
    again(names.ALL, NOW)
    serialization.load_pem_private_key(made.key.read_bytes(), None)


async def test_ports_of_the_host_lead_to_the_same_ports_of_the_gateway() -> None:
    inner, port = await _service(b"inside ")
    # The same port of another loopback address stands for the grid's gateway.
    listeners = expose.bind([port], "127.0.0.2")
    handed_over = expose.from_argument(expose.to_argument(listeners))
    for listener in listeners.values():
        listener.detach()
    forwarder = expose.Forwarder(handed_over, "127.0.0.1")
    await forwarder.start()
    try:
        assert forwarder.ports == [port]
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.write(b"hello\n")
        assert await reader.read() == b"inside hello\n"
        writer.close()
    finally:
        await forwarder.close()
        inner.close()


def test_a_port_that_is_taken_is_named_and_no_other_stays_bound() -> None:
    with socket.socket() as taken, socket.socket() as probe:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        used = taken.getsockname()[1]
        with pytest.raises(expose.PortTaken, match=f"cannot bind 127.0.0.1:{used}.*without --expose"):
            expose.bind([free, used])
        with socket.socket() as again:
            again.bind(("127.0.0.1", free))
