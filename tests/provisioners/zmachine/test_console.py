"""One serial line and many people, with the log beside it (B083)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from provisioners.system import console as console_module
from provisioners.system import console_log
from provisioners.system.console import HISTORY, Console, ConsoleBusy, ConsoleClosed
from provisioners.system.console_log import ConsoleLog
from provisioners.system.console_server import console_port, same_origin


@asynccontextmanager
async def serial_line(path: Path) -> AsyncIterator[asyncio.Queue[asyncio.StreamWriter]]:
    """QEMU's side of a console: hands out the connection, and echoes in capitals."""
    connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.put_nowait(writer)
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield connections
    finally:
        server.close()


async def test_everybody_sees_everything_and_newcomers_the_history(tmp_path: Path) -> None:
    console = Console(ConsoleLog(tmp_path / "log"))
    async with serial_line(tmp_path / "s"):
        await console.attach(tmp_path / "s")
        async with console.watch() as one, console.watch() as two:
            await console.type(b"hello")
            assert await one.get() == b"HELLO"
            assert await two.get() == b"HELLO"
        async with console.watch() as late:
            assert await late.get() == b"HELLO"
        await console.close()


async def test_history_after_a_restart_comes_from_the_log(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "log")
    log.path.write_bytes(b"a" * HISTORY + b"the end")
    console = Console(log)
    assert len(console.history) == HISTORY
    assert console.history.endswith(b"the end")


async def test_who_reads_too_slowly_is_dropped_and_the_machine_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "BACKLOG_LIMIT", 2)
    console = Console(ConsoleLog(tmp_path / "log"))
    async with serial_line(tmp_path / "s"):
        await console.attach(tmp_path / "s")
        async with console.watch() as slow:
            for _ in range(5):
                before = len(console.history)
                await console.type(b"x")
                while len(console.history) == before:
                    await asyncio.sleep(0.001)
            got = [slow.get_nowait() for _ in range(slow.qsize())]
            assert got[-1] is None
        assert console.history == b"XXXXX"
        await console.close()


async def test_a_console_takes_a_limited_number_of_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "WATCHER_LIMIT", 1)
    console = Console(ConsoleLog(tmp_path / "log"))
    async with console.watch():
        with pytest.raises(ConsoleBusy, match="1 people"):
            async with console.watch():
                pass


async def test_typing_at_a_machine_that_is_down_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConsoleClosed):
        await Console(ConsoleLog(tmp_path / "log")).type(b"x")


def test_rotation_keeps_the_end_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "LIMIT", 100)
    monkeypatch.setattr(console_log, "KEPT", 40)
    log = ConsoleLog(tmp_path / "vm" / "log")
    with open(log.open(), "wb", buffering=0) as qemu:
        qemu.write(b"a" * 90)
        assert not log.rotate()
        qemu.write(b"b" * 20)
        assert log.rotate()
        qemu.write(b"after")
        assert log.path.read_bytes() == b"after"
    assert log.old.read_bytes() == b"a" * 20 + b"b" * 20
    assert log.tail(7) == b"bbafter"
    log.remove()
    assert list(log.path.parent.iterdir()) == []
    log.remove()


def test_the_port_follows_from_the_address() -> None:
    assert console_port(IPv4Address("10.20.2.9")) == 20009


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(None, True), ("http://10.20.2.1:20009", True), ("http://evil.example", False), ("null", False)],
)
def test_a_page_of_somebody_elses_may_not_type(origin: str | None, allowed: bool) -> None:
    assert same_origin(origin, "10.20.2.1:20009") is allowed
