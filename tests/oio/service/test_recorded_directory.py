"""Exchanges recorded from the real services, against ours: same statuses, same bodies.

Addresses are compared as sets of as many, since ports differ; where upstream is known to be wrong, what ours must do
stands in `OURS`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.oio.service.directory_in_process import directory
from tests.shared import report_count, vectors

ADDRESS = re.compile(r"127\.0\.0\.1:\d+")

OURS = {
    "has existing": 204,
    "has missing": 404,
    "force type mismatch": 400,
    "force unknown type": 400,
    "force bad host": 400,
}
REFUSED_HERE = {("echo", 9), ("nonexistent", 9), ("echo", 10)}
"""Rows (type, number) that upstream took from those forces and then lists."""


def shape(body: Any) -> Any:
    """The body with every address of a service replaced, lists in a fixed order."""
    if isinstance(body, dict):
        return {ADDRESS.sub("ADDR", key): shape(value) for key, value in body.items()}
    if isinstance(body, list):
        return sorted((shape(item) for item in body), key=repr)
    return ADDRESS.sub("ADDR", body) if isinstance(body, str) else body


def without_refused(body: Any) -> Any:
    """A recorded list of services without the rows that only upstream took."""
    if not isinstance(body, dict) or "srv" not in body:
        return body
    rows = [row for row in body["srv"] if (row["type"], row["seq"]) not in REFUSED_HERE]
    return {**body, "srv": rows}


def exchanges(section: str) -> list[tuple[str, dict[str, Any]]]:
    found = vectors("directory")["sections"][section]["cases"]
    return [(case["name"], exchange) for case in found for exchange in case.get("exchanges", ())]


async def replay(running: Any, exchange: dict[str, Any]) -> tuple[int, Any]:
    request = exchange["request"]
    body = request.get("body")
    headers = {k: str(v) for k, v in request["headers"].items() if k.lower().startswith("x-oio-")}
    return await running.ask(
        request["method"],
        request["path"],
        request.get("query") or (),
        None if body is None else body.encode(),
        headers,
    )


async def test_directory_client(tmp_path: Path) -> None:
    compared = 0
    differences = []
    async with directory(tmp_path, {"meta0": 3, "meta1": 4, "meta2": 5}) as running:
        for number in (1, 2):
            await running.push(
                "rdir", f"127.0.0.1:604{number}", **{"tag.loc": f"site{number}.rack.host.rd{number}"}
            )
        for name, exchange in exchanges("directory_client"):
            status, body = await replay(running, exchange)
            wanted = exchange["response"]
            compared += 1
            if name in OURS:
                if status != OURS[name]:
                    differences.append((name, status, body))
            elif status != wanted["status"] or shape(body) != shape(without_refused(wanted["body"])):
                differences.append((name, status, body, wanted["status"], wanted["body"]))
    assert not differences, "\n".join(map(repr, differences))
    report_count("directory exchanges (client)", compared)


async def test_ill_formed_mappings_are_refused_and_change_nothing(tmp_path: Path) -> None:
    path = "/v3.0/OPENIO/admin/meta0_list"
    compared = 0
    async with directory(tmp_path, {"meta0": 3, "meta1": 3}) as running:
        before = await running.ask("GET", path)
        for _, exchange in exchanges("meta0_bad_input"):
            if exchange["request"]["method"] == "POST":
                status, body = await replay(running, exchange)
                assert status == 400
                assert next(iter(re.findall(r'"(\w+)": ', exchange["request"]["body"]))) in body["message"]
                compared += 1
        assert await running.ask("GET", path) == before
    report_count("directory exchanges (meta0, ill-formed)", compared)


async def test_an_unknown_path_has_no_handler(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        for path in ("/", "/v3.0", "/v3.0/OPENIO/conscience/nothing", "/v3.0/OPENIO"):
            assert await running.ask("GET", path) == (404, {"status": 404, "message": "No handler found"})
