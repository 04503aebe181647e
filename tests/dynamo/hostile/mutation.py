"""Bytes that were changed on their way.

`DYNAMO_MUTATIONS` sets how many messages of each kind are tried; `make test-dynamo` tries 10⁵.
"""

from __future__ import annotations

import os
import random
from typing import Final

LONG: Final = bool(os.environ.get("DYNAMO_LONG"))
MUTATIONS: Final = int(os.environ.get("DYNAMO_MUTATIONS", "100000" if LONG else "1000"))

HOSTILE: Final = (
    "__import__('os')._exit(99)",
    "\x00",
    "[" * 3000,
    '{"class": "Site"}',
    "NaN",
    "1e999",
    "9" * 400,
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
)


def mutated(dice: random.Random, data: bytes) -> bytes:
    """The same with some bytes changed, lost, added, repeated, or with something hostile in them."""
    found = bytearray(data)
    for _ in range(dice.randrange(1, 5)):
        place = dice.randrange(len(found) + 1)
        kind = dice.randrange(5)
        if kind == 0 and found:
            found[place % len(found)] = dice.randrange(256)
        elif kind == 1:
            del found[place : place + dice.randrange(1, 9)]
        elif kind == 2:
            found[place:place] = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 9)))
        elif kind == 3:
            found[place:place] = found[: dice.randrange(1, 40)]
        else:
            found[place:place] = dice.choice(HOSTILE).encode()
    return bytes(found)
