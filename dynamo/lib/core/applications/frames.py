"""Frames between clients and the application server: decimal length, a blank, JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dynamo.dataformat import OperationalError

MAX_FRAME = 8 << 20
"""Largest frame, in bytes."""


def frame(value: Any) -> bytes:
    """A value as a frame."""
    body = json.dumps(value).encode()
    return f"{len(body)} ".encode() + body


async def read_frame(reader: asyncio.StreamReader, limit: float | None) -> Any:
    """The next frame's value, within `limit` seconds; None at the end of the stream.

    Raises OperationalError for what is no frame, and when it takes too long.
    """
    try:
        async with asyncio.timeout(limit):
            head = await reader.readuntil(b" ")
            if len(head) > 9 or not head[:-1].isdigit() or int(head) > MAX_FRAME:
                raise OperationalError(
                    f"A frame begins with its length, at most {MAX_FRAME}, not with {head!r}"
                )
            return json.loads(await reader.readexactly(int(head)))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise OperationalError("The connection ended within a frame") from None
        return None
    except asyncio.LimitOverrunError:
        raise OperationalError("A frame begins with its length and a blank") from None
    except TimeoutError:
        raise OperationalError(f"Nothing came for {limit} s") from None
    except (ValueError, RecursionError) as error:
        raise OperationalError(f"A frame is no JSON: {error}") from None
