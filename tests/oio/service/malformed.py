"""Bodies that no route may take, made from a seed: broken JSON, wrong types, texts that cannot be stored."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

TEXT, ADDRESS, NUMBER, SCORE, SCALAR = "text", "address", "number", "score", "scalar"
TEXTS, NUMBERS, OBJECT = "texts", "numbers", "object"

WRONG: dict[str, list[Any]] = {
    TEXT: [None, 1, 1.5, True, [], {}, ["x"], "a\0b", "\ud800", "x" * 300],
    ADDRESS: [1, 1.5, True, [], {}, ["x"], "a\0b", "\ud800", "x" * 300, "a b", "../x", ":1"],
    SCALAR: [None, [], {}, ["x"], {"a": 1}],
    NUMBER: [None, "1", 1.5, True, [], {}, -1, 1 << 80],
    SCORE: ["1", 1.5, True, [], {}, 1 << 80],
    NUMBERS: ["x", 1, True, {"a": 1}, ["1"], [None], [1.5], [True], [-1], [1 << 64]],
    TEXTS: ["x", 1, True, {"a": 1}, [1], [None], [["x"]]],
    OBJECT: ["x", 1, True, ["x"], [[]]],
}
"""Values that are wrong where one of that kind is expected."""

BROKEN = [
    b"{",
    b"[",
    b'{"a":}',
    b'{"a" 1}',
    b"nul",
    b"'x'",
    b"\xff\xfe{}",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b"\0",
    b"[" * 200 + b"]" * 200,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'{"properties": {"k": "\xc3"}}',
    b"]",
    b"{} {}",
    b"<xml/>",
]
"""Bodies that are no JSON, or too deep."""

Template = dict[str, tuple[str, Any]]
"""Field -> what kind of value it takes and a good one."""


def bodies(seed: int, count: int, top: type, fields: Template, needed: tuple[str, ...]) -> Iterator[bytes]:
    """`count` bodies for a route that takes a `top` (dict or list) with these fields, all of them wrong."""
    chance = random.Random(seed)
    for _ in range(count):
        way = chance.choice(("broken", "top", "field", "field", "field", "missing"))
        good = {name: value for name, (_, value) in fields.items()}
        if way == "field" and fields:
            name = chance.choice(sorted(fields))
            good[name] = chance.choice(WRONG[fields[name][0]])
            yield json.dumps(good).encode()
        elif way == "missing" and needed:
            del good[chance.choice(needed)]
            yield json.dumps(good).encode()
        elif way == "top":
            wrong = [
                "x",
                1,
                True,
                None,
                1.5,
                [1] if top is list else ["x", [1]],
                {"x": 1} if top is list else [{}],
            ]
            yield json.dumps(chance.choice(wrong)).encode()
        else:
            cut = chance.choice(BROKEN)
            yield (
                cut + bytes([chance.randrange(33, 127)]) * chance.randrange(3)
                if cut[:1] not in (b"{", b"[")
                else cut
            )
