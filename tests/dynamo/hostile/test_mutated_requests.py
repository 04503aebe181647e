"""The recorded requests to modules, changed on their way: answered or refused, never an internal error."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.master.database import open_master
from dynamo.core.registry.desk import Desk
from dynamo.core.serverconfig import MasterConfig
from dynamo.web.loader import Loader

from tests.dynamo.hostile.mutation import LONG, MUTATIONS, mutated
from tests.dynamo.web.recorded_requests import ask, recorded_inventory
from tests.shared import report_count, vectors

ANEW = 500
"""Requests that one inventory serves: here no process of its own keeps what a module does to its view of it."""
TEXTS = ("query", "path", "body", "content_type")

STRANGE_VALUES = (
    "-1",
    "%C2%B2",
    "9" * 30,
    "9" * 5000,
    "1.5",
    "null",
    "%00",
    "[",
    "*",
    "%ED%A0%80",
    "1e400",
    ",,",
)
STRANGE_PARTS = (
    None,
    True,
    -1,
    10**30,
    1.5,
    1e308,
    "",
    "x",
    "\0",
    "\ud800",
    [],
    {},
    [[]],
    ["x", {}],
    {"x": [1]},
)


@pytest.mark.timeout(3600 if LONG else 300)
def test_w5_requests_to_modules_are_answered_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(11)
    cases = [
        case
        for case in vectors("inventory")["web"]["requests"]
        if "path" in case and "/my" not in case["path"] and "broken" not in case["path"]
    ]
    loader = Loader()
    desk = Desk(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    statuses: dict[int, int] = {}
    for number in range(MUTATIONS):
        if number % ANEW == 0:
            place = tmp_path / str(number)
            place.mkdir()
            inventory = recorded_inventory(place)
        case = changed(dice, dice.choice(cases))
        answer = ask(inventory, loader, case, desk)
        assert answer.status in (200, 400, 403, 404), (number, case, answer.body)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    assert {200, 400, 404} <= statuses.keys()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    report_count("changed web requests", MUTATIONS)


def changed(dice: random.Random, case: dict[str, Any]) -> dict[str, Any]:
    """A request of which one or two texts are others, or that says something else than is expected."""
    found = {**case, "scheme": dice.choice(("http", "https"))}
    if found.get("client_dn") is None:
        found["client_dn"] = "/DC=org/DC=example/CN=Jane Doe"
    if dice.randrange(3) == 0:
        found["query"] = with_other_values(dice, found.get("query") or "item=/P/R1/AOD")
        if found.get("body"):
            found["body"] = with_other_parts(dice, found["body"])
        return found
    # Paths are mostly right, else nearly all requests would end at a module that is not there.
    for name in dice.choices(TEXTS, weights=(8, 1, 4, 1), k=2):
        text = found.get(name) or (json.dumps({"item": ["/P/R1/AOD"]}) if name == "body" else "")
        found[name] = mutated(dice, text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    return found


def with_other_values(dice: random.Random, query: str) -> str:
    """A parameter that is a list, is twice there, or has a value of another kind."""
    name, _, value = dice.choice(query.split("&")).partition("=")
    strange = dice.choice(STRANGE_VALUES)
    return (
        f"{query}&"
        + dice.choice(
            (
                f"{name}={value}",
                f"{name}[]={value}",
                f"{name}={strange}&{name}={value}",
                f"{name}[]={strange}",
            )
        )
        if dice.randrange(2)
        else query.replace(f"{name}={value}", f"{name}={strange}", 1)
    )


def with_other_parts(dice: random.Random, body: str) -> str:
    """A document in JSON of which one part is of another kind."""
    try:
        document = json.loads(body)
    except ValueError:
        return with_other_values(dice, body)
    holder: Any = [document]
    while True:
        key = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if dice.randrange(3) == 0 or not isinstance(holder[key], dict | list) or not holder[key]:
            break
        holder = holder[key]
    if holder == [document]:
        return json.dumps(dice.choice(STRANGE_PARTS))
    holder[key] = dice.choice(STRANGE_PARTS)
    return json.dumps(document)
