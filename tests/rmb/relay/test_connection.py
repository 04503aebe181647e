"""What goes out to a peer whose transport is full for a while."""

from __future__ import annotations

import asyncio

from rmb.gen2.session import Session
from rmb.relay.connection import WINDOW, Connection, Turn
from rmb.relay.frames import binary


class Transport:
    """Takes what it is given when `full` is not set; else it stays in its buffer."""

    def __init__(self) -> None:
        self.written = b""
        self.full = False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return WINDOW if self.full else 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """Nothing is open."""

    def get_extra_info(self, name: str) -> None:
        return None


async def test_what_did_not_fit_goes_out_when_there_is_room_without_another_message() -> None:
    transport = Transport()
    connection = Connection(Session(1), transport, Turn())
    transport.full = True
    bodies = [b"%d" % number * 100 for number in range(5)]
    for body in bodies:
        connection.put(body)
    await asyncio.sleep(0.1)
    assert transport.written == b""
    assert [one.body for one in connection.left()] == bodies
    transport.full = False
    async with asyncio.timeout(60):
        while connection.left():
            await asyncio.sleep(0.01)
    assert transport.written == b"".join(map(binary, bodies))


async def test_more_than_the_window_goes_out_in_parts() -> None:
    transport = Transport()
    connection = Connection(Session(1), transport, Turn())
    bodies = [bytes([number]) * (WINDOW // 2 + 1) for number in range(5)]
    for body in bodies:
        connection.put(body)
    async with asyncio.timeout(60):
        while connection.left():
            await asyncio.sleep(0.01)
    assert transport.written == b"".join(map(binary, bodies))


async def test_all_of_a_turn_is_one_write_for_each_connection() -> None:
    writes: list[bytes] = []
    transports = [Transport() for _ in range(2)]
    turn = Turn()
    for transport in transports:
        transport.write = writes.append  # type: ignore[method-assign]
    connections = [Connection(Session(1), transport, turn) for transport in transports]
    for body in (b"a", b"b"):
        for connection in connections:
            connection.put(body)
    await asyncio.sleep(0.01)
    assert writes == [binary(b"a") + binary(b"b")] * 2
