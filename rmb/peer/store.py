"""What the peer keeps in Redis.  Each method is one atomic script, so that a kill between two of them loses nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import structlog

from rmb import queues
from rmb.errors import MessageError
from rmb.gen1 import time_rules
from rmb.gen1.message import Message
from rmb.gen2.session import Session
from rmb.peer import local_json, scripts
from rmb.redis_link import RedisLink

log = structlog.get_logger("rmb.peer")

ANSWER_LIFE: Final = 1800
"""Seconds that a reply waits for its reader, as in the reference daemon."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much waits at most; bytes are of encoded messages."""

    backlog: int = 10_000
    """Own requests without an answer."""
    unread: int = 10_000
    """Requests in one command's list."""
    pending: int = 10_000
    """Requests of all other twins that no service answered yet."""
    pending_bytes: int = 256 * 1024 * 1024
    pending_per_twin: int = 256
    pending_bytes_per_twin: int = 32 * 1024 * 1024


class Entry(Enum):
    """What became of an incoming message."""

    TAKEN = "taken"
    REPLAYED = "replayed"
    UNKNOWN = "unknown"
    """A reply to something that we did not ask, or do not wait for any more."""
    FULL = "full"
    """The list of the command, or everything together, is full."""
    TWIN_FULL = "twin full"
    """Too much of this twin waits already."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request on its way to one destination."""

    message: Message
    """As it goes out, but for time stamp and signature; `now` and `expiration` are the client's."""

    @property
    def uid(self) -> str:
        return self.message.uid

    @property
    def deadline(self) -> int:
        return time_rules.deadline(self.message.now, self.message.expiration)


class PeerStore:
    """All durable state of the peer."""

    def __init__(self, link: RedisLink, limits: StoreLimits, generation2: Collection[str] = ()) -> None:
        """`generation2` are the commands, or beginnings of commands up to a dot, whose services read that form."""
        self._link = link
        self._limits = limits
        self._generation2 = generation2

    async def next_uid(self, destination: int) -> str:
        count = await self._link.command("INCR", queues.counter(destination))
        return f"{destination}.{count}"

    async def accept(self, raw: bytes, original: Message, parts: Sequence[Outgoing]) -> bool:
        """Move a local request from the taken list into backlog and outbox; False, and nothing moved, when full."""
        arguments: list[str | bytes | int] = [raw, self._limits.backlog, original.to_json()]
        for part in parts:
            arguments += [part.uid, part.deadline, part.message.to_json()]
        keys = [queues.BACKLOG, queues.DEADLINES, queues.OUTBOX, queues.taken(queues.LOCAL)]
        return bool(await self._link.run(scripts.ACCEPT, keys, *arguments))

    async def outbox(self) -> list[Outgoing]:
        """Everything that still has to be sent."""
        values = await self._link.command("HVALS", queues.OUTBOX)
        return [Outgoing(message) for value in values if (message := _decoded(value, queues.OUTBOX))]

    async def sent(self, uid: str) -> None:
        """The destination's peer has the request; its reply is waited for."""
        await self._link.command("HDEL", queues.OUTBOX, uid)

    async def postpone(self, part: Outgoing) -> bool:
        """Keep the request for another attempt; False when it was answered or expired meanwhile."""
        keys = [queues.BACKLOG, queues.OUTBOX]
        return bool(await self._link.run(scripts.POSTPONE, keys, part.uid, part.message.to_json()))

    async def waiting(self, uid: str) -> Message | None:
        """The local request that waits for the answer `uid`."""
        raw = await self._link.command("HGET", queues.BACKLOG, uid)
        return None if raw is None else _decoded(raw, queues.BACKLOG)

    async def settle(self, uid: str, answer: Message, seen: str = "", seen_until: int = 0) -> Entry:
        """Give the client of request `uid` its answer (on `answer.reply_to`), once, and forget the request.

        `seen` is the replay key of a message from outside.
        """
        keys = [queues.BACKLOG, queues.DEADLINES, queues.OUTBOX, answer.reply_to, seen or queues.BACKLOG]
        arguments = (uid, _for_client(answer), ANSWER_LIFE, seen_until if seen else 0)
        return Entry(bytes(await self._link.run(scripts.SETTLE, keys, *arguments)).decode())

    async def push_answer(self, answer: Message) -> None:
        """Give a client an answer to a request that never was in the backlog."""
        await self._link.run(scripts.PUSH_ANSWER, [answer.reply_to], _for_client(answer), ANSWER_LIFE)

    async def expired(self, limit: int = 100) -> list[str]:
        """Ids of requests whose lifetime is over."""
        now = int(time.time())
        found = await self._link.command(
            "ZRANGEBYSCORE", queues.DEADLINES, "-inf", f"({now}", "LIMIT", 0, limit
        )
        return [bytes(uid).decode() for uid in found]

    async def forget(self, uid: str) -> None:
        """Drop a request without an answer."""
        await self._link.run(scripts.FORGET, [queues.BACKLOG, queues.DEADLINES, queues.OUTBOX], uid)

    async def deliver(
        self, message: Message, seen: str = "", seen_until: int = 0, session: Session | None = None
    ) -> Entry:
        """Hand a request to the service of its command; `session` is its sender's, where it has a name."""
        now = int(time.time())
        message = replace(message, reference=None)
        raw = message.to_json()
        if self._is_generation2(message.command):
            raw = local_json.request(message, session or Session(message.source))
        root = message.command.partition(".")[0]
        lifetime = max(
            1, min(time_rules.deadline(message.now, message.expiration) - now, time_rules.DEFAULT_LIFETIME)
        )
        keys = [
            queues.command(message.command),
            queues.command(root),
            queues.router(root),
            queues.PENDING,
            queues.PENDING_SIZES,
            queues.PENDING_COUNTS,
            seen or queues.PENDING,
        ]
        limits = self._limits
        arguments = (
            raw,
            message.command,
            message.source,
            _member(message.source, message),
            now,
            lifetime,
            limits.unread,
            limits.pending,
            limits.pending_bytes,
            limits.pending_per_twin,
            limits.pending_bytes_per_twin,
            seen_until if seen else 0,
        )
        return Entry(bytes(await self._link.run(scripts.DELIVER, keys, *arguments)).decode())

    def _is_generation2(self, command: str) -> bool:
        return any(command == name or command.startswith(f"{name}.") for name in self._generation2)

    async def answered(self, reply: Message) -> None:
        """A service answered: its caller may ask again."""
        caller = reply.destinations[0] if reply.destinations else 0
        keys = [queues.PENDING, queues.PENDING_SIZES, queues.PENDING_COUNTS]
        await self._link.run(scripts.ANSWERED, keys, caller, _member(caller, reply))

    async def keep_proxied(self, reply: Message) -> None:
        """Put the reply to a `/zbus-cmd` request where `/zbus-result` finds it."""
        await self._link.run(scripts.KEEP_PROXIED, [reply.reply_to], reply.to_json(), ANSWER_LIFE)

    async def proxied(self, reply_to: str) -> list[Message]:
        """Replies kept under `reply_to`, newest first; they stay there."""
        found = await self._link.command("LRANGE", reply_to, 0, -1)
        return [message for raw in found if (message := _decoded(raw, reply_to))]


def _for_client(answer: Message) -> bytes:
    """In the form of the generation in which the client asked."""
    return answer.to_json() if answer.reference is None else local_json.response(answer)


def _decoded(raw: bytes, key: str) -> Message | None:
    """What another program may have spoilt must not stop us."""
    try:
        return Message.from_json(raw)
    except MessageError as error:
        log.warning("no message in our own store", key=key, reason=str(error))
        return None


def _member(caller: int, message: Message) -> str:
    """A request among the pending ones; what comes through the proxy has no id of its own but its reply list."""
    return f"{caller} {message.reply_to if message.proxied else message.uid}"
