"""A peer that is connected: what goes out to it, in order, and what is known to have gone out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

from rmb.gen2.session import Session
from rmb.relay.frames import CLOSE_GOING_AWAY, binary
from rmb.relay.stores.message_store import FIRST, Id

WINDOW = 256 * 1024
"""Bytes that may be under way in the transport; what is beyond waits here or in the store."""
MOST_REMEMBERED = 10_000
MOST_WAITING = 1024
MOST_WAITING_BYTES = 4 << 20
"""In memory for one connection; then the store takes over."""


class Transport(Protocol):
    """The part of `asyncio.Transport` that is used."""

    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


@dataclass(slots=True)
class Outgoing:
    """A message on its way to a peer."""

    body: bytes
    id: Id | None
    """In the store; None when it is in memory alone."""
    end: int = 0
    """Bytes written to the transport up to the end of this one's frame."""


class Connection:
    """Writes frames in order; `flush` joins whatever came during one turn of the loop into one write."""

    __slots__ = (
        "_confirmed",
        "_flush_is_due",
        "_loop",
        "_sent",
        "_transport",
        "_under_way",
        "_waiting",
        "_waiting_bytes",
        "_written",
        "after",
        "draining",
        "session",
    )  # fmt: skip

    def __init__(self, session: Session, transport: Transport) -> None:
        self.session = session
        self.after: Id = FIRST
        """The last stored message that was taken for this connection."""
        self.draining: asyncio.Task[None] | None = None
        """Brings what is stored; while it runs, everything new is stored too, so that the order stays."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0
        self._under_way: deque[Outgoing] = deque()
        self._confirmed: list[Id] = []
        self._sent: OrderedDict[Id, None] = OrderedDict()
        self._written = 0
        self._flush_is_due = False

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
            self._loop.call_soon(self.flush)

    def was_sent(self, id: Id) -> bool:
        """Whether a stored message was given to this connection already; the store may still show it for a moment."""
        return id in self._sent

    def put_first(self, messages: list[Outgoing]) -> None:
        """Send messages before all others: those that a former connection of the session did not get out."""
        self._waiting.extendleft(reversed(messages))
        self._waiting_bytes += sum(len(message.body) for message in messages)
        self.flush()

    def flush(self) -> None:
        """Write what the transport may take now."""
        self._flush_is_due = False
        if self._transport.is_closing():
            return
        room = WINDOW - self._transport.get_write_buffer_size()
        frames: list[bytes] = []
        while self._waiting and room > 0:
            message = self._waiting.popleft()
            frame = binary(message.body)
            self._waiting_bytes -= len(message.body)
            self._written += len(frame)
            room -= len(frame)
            message.end = self._written
            self._under_way.append(message)
            frames.append(frame)
        if frames:
            self._transport.write(b"".join(frames))
        self._forget_what_is_out()

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
        return [*self._under_way, *self._waiting]

    def replace(self) -> None:
        """Tell the peer that it is going away, and close."""
        if not self._transport.is_closing():
            self._transport.write(CLOSE_GOING_AWAY)
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _forget_what_is_out(self) -> None:
        out = self._written - self._transport.get_write_buffer_size()
        while self._under_way and self._under_way[0].end <= out:
            gone = self._under_way.popleft()
            if gone.id is not None:
                self._confirmed.append(gone.id)
