"""A peer that is connected: what goes out to it, in order, and what is known to have gone out."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict, deque
from socket import SOL_TCP, TCP_INFO
from typing import Any, NamedTuple, Protocol

from rmb.gen2.session import Session
from rmb.relay.frames import CLOSE_GOING_AWAY, PING, binary
from rmb.relay.stores.message_store import FIRST, Id

WINDOW = 256 * 1024
"""Bytes that may be under way in the transport; what is beyond waits here or in the store."""
MOST_REMEMBERED = 10_000
MOST_WAITING = 1024
MOST_WAITING_BYTES = 4 << 20
"""In memory for one connection; then the store takes over."""
LOOK_AGAIN_S = 0.005
LOOK_AGAIN_AT_MOST_S = 0.25
"""Between two looks at a transport that was full, the first and the longest."""

LAST_DATA_RECEIVED = slice(52, 56)
"""Where `struct tcp_info` of Linux has its `tcpi_last_data_recv`, in milliseconds."""


class Transport(Protocol):
    """The part of `asyncio.Transport` that is used."""

    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def get_extra_info(self, name: str) -> Any: ...


class Outgoing(NamedTuple):
    """A message on its way to a peer."""

    body: bytes
    id: Id | None
    """In the store; None when it is in memory alone."""


class Turn:
    """One turn of the loop, after which the connections that were given something write it: the loop is asked once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections: list[Connection] = []

    def flush_after(self, connection: Connection) -> None:
        if not self._connections:
            self._loop.call_soon(self._end)
        self._connections.append(connection)

    def _end(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.flush()


class Connection:
    """Writes frames in order; `flush` joins whatever came during one turn of the loop into one write."""

    __slots__ = (
        "_confirmed",
        "_flush_is_due",
        "_look_again",
        "_pause",
        "_sent",
        "_transport",
        "_turn",
        "_under_way",
        "_waiting",
        "_waiting_bytes",
        "_written",
        "after",
        "asked",
        "draining",
        "session",
    )  # fmt: skip

    def __init__(self, session: Session, transport: Transport, turn: Turn) -> None:
        self.session = session
        self.after: Id = FIRST
        """The last stored message that was taken for this connection."""
        self.draining: asyncio.Task[None] | None = None
        """Brings what is stored; while it runs, everything new is stored too, so that the order stays."""
        self.asked: float | None = None
        """When the peer was asked whether it is there, by the loop's clock; None when it is known to be."""
        self._transport = transport
        self._turn = turn
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0
        self._under_way: deque[tuple[int, Outgoing]] = deque()
        """Each with the bytes written to the transport up to the end of its frame."""
        self._confirmed: list[Id] = []
        self._sent: OrderedDict[Id, None] = OrderedDict()
        self._written = 0
        self._flush_is_due = False
        self._look_again: asyncio.TimerHandle | None = None
        self._pause = LOOK_AGAIN_S

    @property
    def is_full(self) -> bool:
        """Whether more should go to the store."""
        return len(self._waiting) >= MOST_WAITING or self._waiting_bytes >= MOST_WAITING_BYTES

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def put(self, body: bytes, id: Id | None = None) -> None:
        """Send a message, soon."""
        if id is not None:
            self._sent[id] = None
            if len(self._sent) > MOST_REMEMBERED:
                self._sent.popitem(last=False)
        self._waiting.append(Outgoing(body, id))
        self._waiting_bytes += len(body)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._turn.flush_after(self)

    def was_sent(self, id: Id) -> bool:
        """Whether a stored message was given to this connection already; the store may still show it for a moment."""
        return id in self._sent

    def put_first(self, messages: list[Outgoing]) -> None:
        """Send messages before all others: those that a former connection of the session did not get out."""
        self._waiting.extendleft(reversed(messages))
        self._waiting_bytes += sum(len(message.body) for message in messages)
        self.flush()

    def flush(self) -> None:
        """Write what the transport may take now; of what it may not, see to it that it is tried again."""
        self._flush_is_due = False
        waiting, transport = self._waiting, self._transport
        if not waiting or transport.is_closing():
            return
        room = WINDOW - transport.get_write_buffer_size()
        frames: list[bytes] = []
        while waiting and room > 0:
            message = waiting.popleft()
            frame = binary(message.body)
            self._waiting_bytes -= len(message.body)
            self._written += len(frame)
            room -= len(frame)
            self._under_way.append((self._written, message))
            frames.append(frame)
        if frames:
            transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
            self._forget_what_is_out()
            self._pause = LOOK_AGAIN_S
        if waiting and self._look_again is None:  # the transport has no event for it
            self._look_again = asyncio.get_running_loop().call_later(self._pause, self._flush_again)
            self._pause = min(2 * self._pause, LOOK_AGAIN_AT_MOST_S)

    def _flush_again(self) -> None:
        self._look_again = None
        self.flush()

    def took(self) -> list[Id]:
        """Ids of stored messages that the kernel has by now; each is told once."""
        self._forget_what_is_out()
        confirmed, self._confirmed = self._confirmed, []
        return confirmed

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._waiting and self._transport.get_write_buffer_size() == 0

    def has_room(self) -> bool:
        return not self._waiting and self._transport.get_write_buffer_size() < WINDOW // 2

    def left(self) -> list[Outgoing]:
        """What has not gone out, in order."""
        self._forget_what_is_out()
        return [*(message for _, message in self._under_way), *self._waiting]

    def replace(self) -> None:
        """Tell the peer that it is going away, and close."""
        if not self._transport.is_closing():
            self._transport.write(CLOSE_GOING_AWAY)
            self._transport.close()

    def ask(self, now: float) -> None:
        """Send a ping."""
        if not self._transport.is_closing():
            self.asked = now
            self._written += len(PING)
            self._transport.write(PING)

    def silence(self) -> float:
        """Seconds since the kernel got anything from the peer, if only a part of a message (`tcp_info`, Linux)."""
        socket = self._transport.get_extra_info("socket")
        try:
            known = socket.getsockopt(SOL_TCP, TCP_INFO, LAST_DATA_RECEIVED.stop)
        except OSError:  # it is closed, which its reader is about to notice
            return 0.0
        return int.from_bytes(known[LAST_DATA_RECEIVED], sys.byteorder) / 1000

    def abort(self) -> None:
        self._transport.abort()

    def _forget_what_is_out(self) -> None:
        under_way = self._under_way
        out = self._written - self._transport.get_write_buffer_size()
        while under_way and under_way[0][0] <= out:
            _, gone = under_way.popleft()
            if gone.id is not None:
                self._confirmed.append(gone.id)
