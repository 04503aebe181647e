"""Malformed bodies on every route that reads one: a 4xx, nothing changed, nothing dead.

`OIO_MALFORMED` sets how many are sent to each route; `make test-oio-fuzz` sends 10,000.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oio.service.proxy import own
from oio.service.proxy.server import IN_NAMESPACE
from tests.oio.service.directory_in_process import Running, directory
from tests.oio.service.malformed import (
    ADDRESS,
    NUMBER,
    NUMBERS,
    OBJECT,
    SCALAR,
    SCORE,
    TEXT,
    TEXTS,
    Template,
    bodies,
)
from tests.shared import report_count

COUNT = int(os.environ.get("OIO_MALFORMED", "200"))
AT_ONCE = 8
REFERENCE = [("acct", "a"), ("ref", "r")]
CID = "A" * 64
SERVICE: Template = {
    "type": (TEXT, "echo"),
    "addr": (TEXT, "127.0.0.1:7001"),
    "score": (SCORE, 1),
    "tags": (OBJECT, {"tag.up": True}),
}
ROW: Template = {
    "seq": (NUMBER, 7),
    "type": (TEXT, "rdir"),
    "host": (TEXT, "127.0.0.1:6041"),
    "args": (TEXT, ""),
}
PROPERTIES: Template = {"properties": (OBJECT, {})}
BOTH: Template = {"properties": (OBJECT, {"k": "v"}), "system": (OBJECT, {})}
POLL: Template = {
    "known": (TEXTS, []),
    "avoid": (TEXTS, []),
    "known_locations": (NUMBERS, []),
    "avoid_locations": (NUMBERS, []),
}


@dataclass
class Reader:
    """A route that reads its body: what it takes, which query makes everything else about it right."""

    path: str
    fields: Template = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    top: type = dict
    query: list[tuple[str, str]] = field(default_factory=lambda: list(REFERENCE))


READERS = [
    *(
        Reader(f"conscience/{act}", SERVICE, ("type", "addr"), query=[])
        for act in ("register", "lock", "unlock", "deregister")
    ),
    Reader("lb/poll", POLL, query=[("pool", "meta2")]),
    Reader("lb/create_pool", {"targets": (TEXTS, "1,echo")}, ("targets",), query=[("name", "p")]),
    Reader("reference/create", PROPERTIES),
    Reader("reference/force", ROW, ("seq", "type", "host"), query=[*REFERENCE, ("type", "rdir")]),
    Reader(
        "reference/relink",
        {"kept": (OBJECT, {}), "replaced": (OBJECT, {})},
        ("kept", "replaced"),
        query=[*REFERENCE, ("type", "rdir")],
    ),
    Reader("reference/get_properties", top=list),
    Reader("reference/set_properties", PROPERTIES),
    Reader("reference/del_properties", top=list),
    Reader("container/create", BOTH),
    Reader("container/get_properties", top=list),
    Reader("admin/set_properties", BOTH, query=[*REFERENCE, ("type", "meta1")]),
    Reader("admin/del_properties", top=list, query=[*REFERENCE, ("type", "meta1")]),
    Reader(
        "admin/copy",
        {"from": (ADDRESS, "127.0.0.1:1"), "to": (ADDRESS, "127.0.0.1:1")},
        ("to",),
        query=[*REFERENCE, ("type", "meta1")],
    ),
    Reader("admin/meta0_force", {"0000": (TEXTS, ["127.0.0.1:1"])}, query=[]),
    Reader("../config", {"proxy.cache.enabled": (SCALAR, "on")}, ("proxy.cache.enabled",), query=[]),
    Reader(
        "../forward/config",
        {"proxy.cache.enabled": (SCALAR, "on")},
        ("proxy.cache.enabled",),
        query=[("id", "127.0.0.1:1")],
    ),
]
WITHOUT_QUERY = {
    *("admin/meta0_list", "conscience/info", "local/list", "lb/reload", "status", "config", "cache/status"),
    *("cache/show", "cache/flush/high", "cache/flush/low", "cache/flush/local"),
}
"""Routes that read neither query nor body: nothing that is sent to them can be wrong."""
BAD_QUERIES = [
    [],
    [("type", "meta2"), ("cid", "xyz")],
    [("type", "meta2"), ("cid", "Z" * 64)],
    [("type", "meta2"), ("acct", "a" * 300), ("ref", "r")],
    [("type", "meta2"), ("acct", "a\0b"), ("ref", "r")],
    [("type", ""), ("acct", "a"), ("ref", ""), ("id", "")],
    [("type", "x" * 300), ("id", "x y"), ("acct", "a")],
    [("id", "../../etc/passwd"), ("type", "../x"), ("cid", "../x")],
]


async def snapshot(running: Running) -> list[Any]:
    """What a directory holds, as its users see it."""
    asked = [
        ("GET", "/v3.0/OPENIO/admin/meta0_list", [("digits", "2")]),
        ("GET", "/v3.0/OPENIO/conscience/list", [("type", "all"), ("full", "1")]),
        ("GET", "/v3.0/OPENIO/reference/show", REFERENCE),
        ("POST", "/v3.0/OPENIO/reference/get_properties", REFERENCE),
        ("POST", "/v3.0/OPENIO/admin/get_properties", [*REFERENCE, ("type", "meta1")]),
        ("POST", "/v3.0/OPENIO/admin/get_properties", [*REFERENCE, ("type", "meta2")]),
        ("GET", "/v3.0/config", []),
    ]
    found = [await running.ask(method, path, query) for method, path, query in asked]
    assert all(status == 200 for status, _ in found), found
    return [body for _, body in found]


async def send(running: Running, reader: Reader) -> list[str]:
    """Send this route what it may not take; a line for every answer that is not a 4xx with a text."""
    path = f"/v3.0/{reader.path[3:]}" if reader.path[:3] == "../" else f"/v3.0/OPENIO/{reader.path}"
    wrong: list[str] = []
    places = asyncio.Semaphore(AT_ONCE)

    async def one(body: bytes) -> None:
        async with places:
            status, answer = await running.ask("POST", path, reader.query, body)
        if not 400 <= status < 500 or not isinstance(answer, dict) or not answer.get("message"):
            wrong.append(f"{path} {body[:200]!r}: {status} {answer}")

    await asyncio.gather(*(one(body) for body in bodies(1, COUNT, reader.top, reader.fields, reader.needed)))
    return wrong


async def test_malformed_bodies_are_refused_on_every_route_and_change_nothing(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 3}) as running:
        await running.push("echo", "127.0.0.1:7001", **{"tag.loc": "a.b.c.d"})
        created = b'{"properties": {"k": "v"}}'
        assert (await running.ask("POST", "/v3.0/OPENIO/container/create", REFERENCE, created))[0] == 201
        before = await snapshot(running)
        wrong = [line for reader in READERS for line in await send(running, reader)]
        assert not wrong, "\n".join(wrong[:20])
        assert await snapshot(running) == before
    report_count("directory malformed bodies", COUNT * len(READERS))


async def test_malformed_queries_are_refused_on_every_route(tmp_path: Path) -> None:
    routes = [(method, f"/v3.0/OPENIO/{path}", path) for method, path in IN_NAMESPACE]
    routes += [(method, f"/v3.0/{path}", path) for method, path in own.ROUTES]
    known = {reader.path.removeprefix("../") for reader in READERS}
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        for method, path, short in routes:
            if short in WITHOUT_QUERY or short in known:
                continue
            for query in BAD_QUERIES:
                if short.startswith(("conscience/", "lb/")) and ("type", "meta2") in query:
                    continue
                status, answer = await running.ask(method, path, query)
                assert 400 <= status < 500, f"{method} {path} {query}: {status} {json.dumps(answer)}"


def test_no_route_is_forgotten() -> None:
    readers = {reader.path.removeprefix("../") for reader in READERS}
    every = {path for _, path in IN_NAMESPACE} | {path for _, path in own.ROUTES}
    assert readers | WITHOUT_QUERY <= every


async def test_bodies_above_the_limit_are_refused_and_meta0_force_may_have_more(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        path = "/v3.0/OPENIO/reference/create"
        for size, wanted in (((1 << 20) + 1, 413), (33 << 20, 413)):
            status, answer = await running.ask("POST", path, REFERENCE, b" " * size)
            assert (status, "1 MiB" in answer["message"]) == (wanted, True)
        mapping = json.dumps({"0000": ["127.0.0.1:1"]}).encode()
        forced = "/v3.0/OPENIO/admin/meta0_force"
        assert (await running.ask("POST", forced, (), b" " * (2 << 20) + mapping))[0] == 204
        assert (await running.ask("POST", forced, (), b" " * (33 << 20) + mapping))[0] == 413
