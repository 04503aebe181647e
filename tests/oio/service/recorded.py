"""Exchanges recorded between the real client and the real services, asked of ours.

Recorded addresses are exchanged for those of our services on the way in, ours are made alike on the way out. What
varies from run to run (times, page counts, which of several peers is master) is made alike on both sides.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.oio.service.directory_in_process import Running
from tests.shared import vectors

ADDRESS = re.compile(r"127\.0\.0\.1(:|%3A)\d+")
VARIES = (
    *("sys.m2.ctime", "sys.last_vacuum", "stats.page_count", "stats.freelist_count"),
    *("refcount", "log", "zk_server", "count", "max", "ttl"),
)
FIRST_PORT = {"meta0": 6011, "meta1": 6021, "meta2": 6031}


def exchanges(section: str) -> list[tuple[str, dict[str, Any], bool]]:
    """Name, exchange, and whether the case is known as a defect of upstream, in their order."""
    found = vectors("directory")["sections"][section]["cases"]
    return [
        (case["name"], exchange, "defect" in case) for case in found for exchange in case.get("exchanges", ())
    ]


def addresses(running: Running) -> dict[str, str]:
    """Recorded address -> ours."""
    pairs = {}
    for kind, metas in running.metas.items():
        for number, meta in enumerate(metas):
            pairs[f"127.0.0.1:{FIRST_PORT[kind] + number}"] = meta.node.name
    return pairs


async def replay(running: Running, exchange: dict[str, Any]) -> tuple[int, Any]:
    """Ask what was asked then; status and body."""
    request = exchange["request"]
    known = addresses(running)

    def ours(text: str) -> str:
        return re.sub(r"127\.0\.0\.1:\d+", lambda found: known.get(found[0], found[0]), text)

    body = request.get("body")
    headers = {k: str(v) for k, v in request["headers"].items() if k.lower().startswith("x-oio-")}
    query = [(key, ours(value)) for key, value in request.get("query") or ()]
    return await running.ask(
        request["method"], request["path"], query, None if body is None else ours(body).encode(), headers
    )


def shape(body: Any) -> Any:
    """The body with every address made alike, lists in a fixed order, and without what varies."""
    if isinstance(body, dict):
        if any(isinstance(value, dict) and "status" in value for value in body.values()):
            return sorted((shape(value) for value in body.values()), key=_key)
        return {ADDRESS.sub("ADDR", k): "*" if k in VARIES else shape(v) for k, v in body.items()}
    if isinstance(body, list):
        return sorted((shape(item) for item in body), key=_key)
    if isinstance(body, str):
        text = re.sub(r"/\S+/(meta\d-\d)/", r"/\1/", ADDRESS.sub("ADDR", body))
        return "\n".join(sorted(text.splitlines()))
    return body


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def difference(ours: Any, theirs: Any) -> str:
    """What two shapes do not have in common."""
    if isinstance(ours, list) and isinstance(theirs, list):
        ours, theirs = (
            [item for item in one if item not in other] for one, other in ((ours, theirs), (theirs, ours))
        )
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        ours, theirs = ({key: one.get(key) for key in keys} for one in (ours, theirs))
    return f"{json.dumps(ours, default=str)[:800]}\n    and not {json.dumps(theirs, default=str)[:800]}"
