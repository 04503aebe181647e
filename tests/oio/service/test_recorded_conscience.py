"""Registration, locks and choices, recorded from the real conscience and proxy, against ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.oio.service.directory_in_process import Running, directory
from tests.oio.service.recorded import difference, exchanges, replay, shape
from tests.shared import report_count

ECHO = "127.0.0.1:700"
OURS = {"resolve unknown": 404, "lock list": 404}
CHANCE = ("choose 1", "choose 3", "choose slot", "next_instance", "poll meta2", "poll mypool")
"""Which services are chosen is left to chance; how many, is not."""
SHOWN_LATE = ("list after unlock", "list after flush")
"""Upstream still answered what was before; ours shows the change at once."""


def comparable(name: str, body: Any) -> Any:
    """A recorded or own body without what is known to differ."""
    if name in ("poll impossible", "choose too many"):
        return {**body, "message": body["message"].split(":")[0]}
    if name in CHANCE:
        return len(body)
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        return body
    services = [item for item in body if item["addr"] != "127.0.0.1:7999"]
    if name == "list all":
        services = [item for item in services if item["type"] != "echo"]
    # Ours shows statistics only where the full list is asked for.
    return [
        {**item, "tags": {k: v for k, v in item.get("tags", {}).items() if not k.startswith("stat.")}}
        for item in services
    ]


async def steps_between(running: Running, name: str) -> None:
    """What was done between two recorded exchanges, as the answers after it show."""
    if name == "lock by service id":
        body = f'{{"type": "echo", "addr": "{ECHO}1"}}'.encode()
        assert (await running.ask("POST", "/v3.0/OPENIO/conscience/lock", body=body))[0] == 204
    if name == "list after unlock":
        place = {"tag.loc": "s2.r1.h3.v3", "tag.slots": "echo,echo-a", "tag.up": False}
        await running.push("echo", f"{ECHO}3", **place)


async def test_the_recorded_exchanges_are_answered_alike(tmp_path: Path) -> None:
    found = exchanges("conscience_and_lb_client")
    information = next(exchange["response"]["body"] for name, exchange, _ in found if name == "info")
    compared = 0
    differences = []
    async with directory(tmp_path, {"meta0": 3, "meta1": 4, "meta2": 5}, information) as running:
        proxy = {"tag.loc": "site1.rack.host", "tag.slots": "oioproxy"}
        await running.push("oioproxy", "127.0.0.1:6000", **proxy)
        for number in (1, 2):
            place = {"tag.slots": "rdir", "tag.loc": f"site{number}.rack.host.rd{number}"}
            await running.push("rdir", f"127.0.0.1:604{number}", **place)
        for name, exchange, _ in found:
            status, body = await replay(running, exchange)
            wanted = exchange["response"]
            compared += 1
            ours, theirs = (shape(comparable(name, one)) for one in (body, wanted["body"]))
            if name in OURS or name in SHOWN_LATE:
                alike = status == OURS.get(name, wanted["status"])
            else:
                alike = (status, ours) == (wanted["status"], theirs)
            if not alike:
                differences.append(f"{name}: {status} {difference(ours, theirs)}")
            await steps_between(running, name)
        last = await running.ask("GET", "/v3.0/OPENIO/conscience/list", [("type", "echo")])
        assert last == (200, []), "a type that was emptied is still listed"
    assert not differences, "\n".join(differences)
    report_count("directory exchanges (conscience)", compared)
