"""Generation 2 beside generation 1: the same local clients and services, over relays.

Requests that come over relays go to the local services, their replies back; requests of local clients go over relays to
twins that have some.  A service sees the same message whichever way it came.  Where its reply has to go is kept in
Redis, so that a peer that was killed meanwhile still brings it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import secrets
import time
from typing import Final, Protocol

import structlog

from rmb import queues
from rmb.errors import BusUnavailable, MessageError, NotDelivered
from rmb.gen1.message import MAX_SIZE, Message
from rmb.gen2.envelope import SCHEMA, Envelope, Error, Request, Response
from rmb.gen2.postman import LONGEST_LIFE, Distrusted, Opened, Postman
from rmb.gen2.refusals import Code, is_from_relay
from rmb.gen2.relay_link import RelayLinks
from rmb.gen2.session import Session
from rmb.peer.sender import DeliveryFailed
from rmb.peer.store import Entry, PeerStore
from rmb.redis_link import RedisLink

log = structlog.get_logger("rmb.peer")

PREFIX: Final = "relay-"
"""Ids of requests that came over a relay begin with it."""
AT_ONCE: Final = 256
"""Envelopes that are looked at at the same time; more are dropped, with a line in the log."""
SEND_S: Final = 30.0
NULL: Final = b"null"
NOTHING_MORE: Final = "too many requests wait for their service; try again later"


class Answers(Protocol):
    """What takes the answers to requests of local clients."""

    async def take(self, reply: Message) -> object: ...

    async def failed(self, uid: str, reason: str) -> None: ...


class RelaySide:
    """What the peer does on its relays, in the twin's session without a name."""

    def __init__(self, link: RedisLink, store: PeerStore, postman: Postman, own_twin: int) -> None:
        self._redis = link
        self._store = store
        self._postman = postman
        self._own_twin = own_twin
        self._links: RelayLinks | None = None
        self._answers: Answers | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, links: RelayLinks, answers: Answers) -> None:
        """Serve until cancelled; `answers` takes the answers to requests of local clients."""
        self._links, self._answers = links, answers
        links.start()
        try:
            await asyncio.Event().wait()
        finally:
            await links.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def received(self, raw: bytes) -> None:
        """Take an envelope from a relay."""
        try:
            envelope = Envelope.decode(raw)
        except MessageError as problem:
            log.info("dropped what is no envelope", reason=str(problem))
            return
        match envelope.body:
            case Request(command):
                work = self._take(envelope, command)
            case Response() | Error():
                work = self._take_answer(envelope)
            case _:
                return
        if len(self._tasks) >= AT_ONCE:
            log.warning("dropped an envelope, too many come at once", source=str(envelope.source))
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reaches(self, twin: int) -> bool:
        """Whether a twin is on relays, as far as that is known now."""
        if self._links is None:
            return False
        try:
            return await self._postman.has_relays(twin)
        except BusUnavailable:
            return False

    async def request(self, message: Message) -> None:
        """Bring a request of a local client to its twin.  Raises DeliveryFailed."""
        (twin,) = message.destinations
        life = message.expiration or LONGEST_LIFE
        try:
            payload = message.payload() or NULL
            raw = await self._postman.seal(
                message.uid, Session(twin), Request(message.command), payload, life=life,
                schema=message.schema or SCHEMA, tags=message.tag,
            )  # fmt: skip
            assert self._links is not None
            await self._links.send(raw, min(SEND_S, life))
        except MessageError as problem:
            raise DeliveryFailed(str(problem), final=True) from problem
        except (NotDelivered, BusUnavailable) as problem:
            raise DeliveryFailed(str(problem)) from problem

    def is_ours(self, reply: Message) -> bool:
        """Whether a service's reply belongs to a request that came over a relay."""
        return reply.uid.startswith(PREFIX)

    async def reply(self, reply: Message) -> None:
        """Bring a service's reply to the session that asked.  Raises BusUnavailable."""
        raw = await self._redis.command("GET", _key(reply.uid))
        if raw is None:
            log.info("reply not delivered", uid=reply.uid, reason="its request is expired")
            return
        kept = json.loads(raw)
        left = math.ceil(kept["expires"] - time.time())
        if left <= 0:
            log.info("reply not delivered", uid=reply.uid, reason="it is expired")
            return
        body: Response | Error = (
            Error(reply.error_code or Code.HANDLER, reply.error) if reply.error else Response()
        )
        try:
            payload = NULL if reply.error else reply.payload() or NULL
        except MessageError as problem:
            body, payload = Error(Code.PAYLOAD_DATA, f"invalid message payload data: {problem}"), NULL
        try:
            await self._send(kept["uid"], Session.parse(kept["source"]), body, payload, left)
        except NotDelivered as problem:
            log.info("reply not delivered", uid=reply.uid, reason=str(problem))
        await self._redis.command("DEL", _key(reply.uid))

    async def _take_answer(self, envelope: Envelope) -> None:
        """An answer to a request of a local client, or a relay's word that it could not be carried."""
        assert self._answers is not None
        body = envelope.body
        try:
            if is_from_relay(envelope) and isinstance(body, Error):
                await self._answers.failed(envelope.uid, body.message)
                return
            opened = await self._postman.open(envelope)
            reply = Message(
                uid=envelope.uid,
                source=opened.source.twin,
                destinations=(self._own_twin,),
                schema=envelope.schema or "",
                now=int(time.time()),
                error=body.message if isinstance(body, Error) else "",
                error_code=body.code if isinstance(body, Error) else 0,
            ).with_payload(opened.payload)
            await self._answers.take(reply)
        except Distrusted as problem:
            log.info("an answer is not believed", source=str(envelope.source), reason=str(problem))
        except BusUnavailable as problem:
            log.error("an answer could not be taken", uid=envelope.uid, reason=str(problem))

    async def _take(self, envelope: Envelope, command: str) -> None:
        try:
            opened = await self._postman.open(envelope)
            await self._deliver(opened, command)
        except Distrusted as problem:
            log.info("refused", source=str(envelope.source), reason=str(problem))
            await self._refuse(envelope, problem.code, str(problem))
        except BusUnavailable as problem:
            log.error("could not queue a message", reason=str(problem))
            await self._refuse(envelope, Code.OTHER, "other: the node cannot queue messages now")

    async def _deliver(self, opened: Opened, command: str) -> None:
        """Hand a request to its service.  Raises Distrusted, BusUnavailable."""
        envelope = opened.envelope
        if not command:
            raise Distrusted(Code.OTHER, "other: missing command request")
        uid = PREFIX + secrets.token_hex(16)
        now = int(time.time())
        left = max(1, math.ceil(opened.expires_at - now))
        message = Message(
            uid=uid,
            command=command,
            expiration=left,
            source=opened.source.twin,
            destinations=(self._own_twin,),
            reply_to=queues.REPLY,
            schema=envelope.schema or "",
            now=now,
        ).with_payload(opened.payload)
        if len(message.data) > MAX_SIZE:
            raise Distrusted(Code.PAYLOAD_DATA, f"invalid message payload data: at most {MAX_SIZE} bytes")
        kept = {"source": str(opened.source), "uid": envelope.uid, "expires": opened.expires_at}
        await self._redis.command("SET", _key(uid), json.dumps(kept), "EX", left + 1)
        seen = queues.replay(opened.source.twin, envelope.challenge().hex())
        entry = await self._store.deliver(message, seen, int(opened.expires_at) + 1, opened.source)
        if entry is Entry.TAKEN:
            return
        await self._redis.command("DEL", _key(uid))
        if entry is Entry.REPLAYED:
            log.info("a request came again", source=str(opened.source), uid=envelope.uid)
            return
        raise Distrusted(Code.OTHER, f"other: {NOTHING_MORE}")

    async def _refuse(self, envelope: Envelope, code: Code, text: str) -> None:
        if envelope.source is None or not envelope.source.twin:
            return
        with contextlib.suppress(NotDelivered, BusUnavailable):
            await self._send(
                envelope.uid, envelope.source, Error(code, text), NULL, envelope.expiration or 300
            )

    async def _send(self, uid: str, to: Session, body: Response | Error, payload: bytes, life: int) -> None:
        assert self._links is not None
        raw = await self._postman.seal(uid, to, body, payload, life=life)
        await self._links.send(raw, min(SEND_S, life))


def _key(uid: str) -> str:
    """String: JSON of where the reply of a request goes that came over a relay; lives as long as the request."""
    return f"msgbus.relayed.{uid}"
