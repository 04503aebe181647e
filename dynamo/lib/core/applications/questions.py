"""Questions of a child to the registry of its server, over the channel between both."""

from __future__ import annotations

import json
import socket
from typing import Any

from dynamo.core.applications.batch import MAX_FRAME, frame_of
from dynamo.core.dynamoinventory import BatchRefused
from dynamo.core.registry.access import Note, Refused
from dynamo.core.registry.desk import Desk
from dynamo.dataformat import DynamoError, OperationalError


class ChildChannel:
    """The child's end: asks, and waits for the answer.  `prefix` comes before every frame."""

    def __init__(self, channel: socket.socket, prefix: bytes = b"") -> None:
        self._channel = channel
        self._prefix = prefix

    def __call__(self, name: str, args: dict[str, Any]) -> Any:
        """The answer.  Raises Refused, OperationalError when the server is gone or the question too large."""
        try:
            self._channel.sendall(self._prefix + frame_of({"ask": name, "args": args}))
        except BatchRefused as error:
            raise OperationalError(f"{name} asks for too much at once: {error}") from None
        length = int.from_bytes(self._exactly(4), "big")
        value = json.loads(self._exactly(length))
        if "refused" in value:
            raise Refused(value["refused"])
        return value["answer"]

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._channel.recv(min(count - len(data), 1 << 16))
            if not piece:
                raise OperationalError("The server does not answer any more")
            data += piece
        return bytes(data)


def answer_frame(desk: Desk, question: Note, may_change: bool) -> bytes:
    """The server's answer to a question, as a frame."""
    try:
        value = {"answer": desk.answer(question.name, question.args, may_change)}
        body = json.dumps(value, separators=(",", ":")).encode()
        if len(body) > MAX_FRAME:
            raise Refused(f"The answer to {question.name} has {len(body)} bytes; ask for less at once")
    except DynamoError as error:
        body = json.dumps({"refused": str(error)}).encode()
    return len(body).to_bytes(4, "big") + body
