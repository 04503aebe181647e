"""How a child hands its changes to the server.

Frames of four bytes of length (big endian) and JSON.  Each carries `{"cmd", "obj"}`, or `{"note", "args"}` for a
change of the registry; the last one the number of both and the SHA-256 of all frames before it, so that a batch is
known to be whole.  Before a batch there may be questions, `{"ask", "args"}`, which the server answers at once with
frames `{"answer"}` or `{"refused"}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from dynamo.core.dynamoinventory import BatchRefused
from dynamo.core.objectrepository import Action, Command
from dynamo.core.registry.access import Note

MAX_FRAME = 16 << 20
"""Largest frame, in bytes."""
MAX_COMMANDS = 2_000_000
"""Most commands of one application."""


def batch_frames(commands: Iterable[Command], notes: Iterable[Note] = ()) -> Iterator[bytes]:
    """The frames of a whole batch."""
    digest = hashlib.sha256()
    count = 0
    values: Iterable[dict[str, Any]] = chain(
        ({"cmd": command.action, "obj": command.obj} for command in commands),
        ({"note": note.name, "args": note.args} for note in notes),
    )
    for value in values:
        frame = frame_of(value)
        digest.update(frame)
        count += 1
        yield frame
    yield frame_of({"end": count, "sha256": digest.hexdigest()})


def frame_of(value: dict[str, Any]) -> bytes:
    """One frame.  Raises BatchRefused for one that is too large."""
    body = json.dumps(value, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME:
        raise BatchRefused(f"One change takes {len(body)} bytes; at most {MAX_FRAME} are allowed")
    return len(body).to_bytes(4, "big") + body


class BatchReader:
    """Puts a batch together from whatever pieces arrive."""

    def __init__(self) -> None:
        self.commands: list[tuple[Action, dict[str, Any]]] = []
        self.notes: list[Note] = []
        self.questions: list[Note] = []
        """What was asked and waits for an answer."""
        self.is_complete = False
        self._buffer = bytearray()
        self._digest = hashlib.sha256()

    @property
    def is_sending(self) -> bool:
        """Is it in the middle of a change, or of a batch?"""
        return bool(self.has_begun or self._buffer)

    @property
    def has_begun(self) -> bool:
        """Did any change arrive?"""
        return bool(self.commands or self.notes)

    def feed(self, data: bytes) -> None:
        """Take some bytes.  Raises BatchRefused when they are no frames of a batch."""
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > MAX_FRAME:
                raise BatchRefused(
                    f"A frame of {length} bytes was announced; at most {MAX_FRAME} are allowed"
                )
            if len(self._buffer) < 4 + length:
                return
            frame = bytes(self._buffer[: 4 + length])
            del self._buffer[: 4 + length]
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        if self.is_complete:
            raise BatchRefused("A batch goes on after its end")
        try:
            value = json.loads(frame[4:])
        except (ValueError, RecursionError) as error:
            raise BatchRefused(f"A frame is no JSON: {error}") from None
        match value:
            case {"cmd": "update" | "delete" as action, "obj": dict() as obj, **rest} if not rest:
                self._check_room()
                self.commands.append((action, obj))
                self._digest.update(frame)
            case {"note": str() as name, "args": dict() as args, **rest} if not rest:
                self._check_room()
                self.notes.append(Note(name, args))
                self._digest.update(frame)
            case {"ask": str() as name, "args": dict() as args, **rest} if not rest and not self.has_begun:
                self.questions.append(Note(name, args))
            case {"end": int() as count, "sha256": str() as digest, **rest} if not rest:
                if count != len(self.commands) + len(self.notes) or digest != self._digest.hexdigest():
                    raise BatchRefused(
                        f"A batch of {count} changes arrived as {len(self.commands) + len(self.notes)}, "
                        "or changed on its way"
                    )
                self.is_complete = True
            case _:
                raise BatchRefused(f"A frame is neither a command nor the end: {str(value)[:80]}")

    def _check_room(self) -> None:
        if len(self.commands) + len(self.notes) >= MAX_COMMANDS:
            raise BatchRefused(f"A batch has more than {MAX_COMMANDS} commands")
