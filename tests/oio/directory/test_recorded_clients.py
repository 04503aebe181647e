"""Every recorded call of a client, played back: the same requests go out, the same values and errors come out."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest

from oio.common.client import ProxyClient
from oio.conscience.client import ConscienceClient, LbClient
from oio.container.client import ContainerClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.directory.meta0 import Meta0Client
from oio.rdir.client import RdirClient
from tests.oio.directory.playback import Playback, plain, playing
from tests.oio.directory.services_in_memory import section
from tests.shared import report_count

SECTIONS = {
    "directory_client": "proxy",
    "admin_and_meta0_client": "proxy",
    "meta0_bad_input": "proxy",
    "conscience_and_lb_client": "proxy",
    "meta2_database": "rdir",
}
CLIENTS: dict[str, Any] = {
    "DirectoryClient": DirectoryClient,
    "AdminClient": AdminClient,
    "Meta0Client": Meta0Client,
    "ConscienceClient": ConscienceClient,
    "LbClient": LbClient,
    "ContainerClient": ContainerClient,
}
NOT_RETURNED = ("rdir push 2", "rdir delete", "rdir delete unknown record", "rdir delete by cid")
"""The original hands out the raw answer here."""
CUT = ("forward stats",)
"""The text is recorded in part only."""
OWN_WAY = ("set_properties dict system",)
"""A mapping for `system` is refused by the original and taken by ours: nothing to play back."""


class Clients:
    """One client of each class, so that what they keep from call to call is kept as when it was recorded."""

    def __init__(self, playback: Playback) -> None:
        conf = {"namespace": "OPENIO", "proxyd_url": playback.addresses["127.0.0.1:6000"]}
        self.found = {name: kind(conf) for name, kind in CLIENTS.items()}
        self.found["ProxyClient"] = ProxyClient(conf, request_prefix="/conscience")
        self.found["RdirClient"] = RdirClient(conf)

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        client_name, _, method = name.partition(".")
        client = self.found[client_name]
        if kwargs.pop("of_other_namespace", False):
            client = type(client)({**client.conf, "namespace": "OTHER"})
        if args and args[0] in ("GET", "POST"):
            asked = client.forwarder if method == "forwarder" else client
            return asked._request(*args, **kwargs)
        value = getattr(client, method)(*args, **kwargs)
        return list(value) if hasattr(value, "__next__") else value


@pytest.mark.parametrize("name", SECTIONS)
def test_the_recorded_calls_play_back(name: str) -> None:
    compared, problems = 0, []
    with playing() as playback, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        clients = Clients(playback)
        for case in section(name):
            if case["call"].partition(".")[0] not in clients.found or case["name"] in OWN_WAY:
                continue
            wanted = case.get("raises")
            problems += play(playback, clients, case, wanted)
            compared += 1
    assert not problems, "\n".join(problems)
    report_count(f"directory client calls ({name})", compared)


def play(
    playback: Playback, clients: Clients, case: dict[str, Any], wanted: dict[str, Any] | None
) -> list[str]:
    playback.exchanges = copy.deepcopy(case["exchanges"]) if "exchanges" in case else []
    playback.problems = []
    kwargs = playback.here(case["kwargs"])
    if case["name"] == "other namespace":
        kwargs["of_other_namespace"] = True
    playback.reqid = kwargs.get("reqid")
    try:
        value = clients.call(case["call"], case["args"], kwargs)
    except Exception as error:
        if wanted is None:
            playback.problems.append(f"raised {error!r}")
        elif failure(error, wanted) != wanted:
            playback.problems.append(f"raised {failure(error, wanted)}, recorded {wanted}")
    else:
        returned = playback.there(plain(value))
        if wanted is not None:
            playback.problems.append(f"returned {returned}, recorded {wanted}")
        elif case["name"] not in (*NOT_RETURNED, *CUT) and returned != recorded(case):
            playback.problems.append(f"returned {returned!r:.300}, recorded {recorded(case)!r:.300}")
    if playback.exchanges:
        playback.problems.append(f"{len(playback.exchanges)} requests were not sent")
    return [f"{case['name']}: {problem}" for problem in playback.problems]


def recorded(case: dict[str, Any]) -> Any:
    """What was returned, where the recording left it out what was answered."""
    return case["returns"] if "returns" in case else case["exchanges"][0]["response"]["body"]


def failure(error: Exception, wanted: dict[str, Any]) -> dict[str, Any]:
    """An error as the recording writes it."""
    found: dict[str, Any] = {"class": type(error).__name__, "str": str(error)}
    names = [kind.__name__ for kind in type(error).__mro__[1:] if kind not in (object, BaseException)]
    found["bases"] = names
    for name in ("http_status", "status", "message"):
        if name in wanted:
            found[name] = getattr(error, name)
    return found


def test_a_mapping_is_taken_for_system_properties() -> None:
    case = next(one for one in section("admin_and_meta0_client") if one["name"] == "set_properties")
    with playing() as playback:
        clients = Clients(playback)
        kwargs = {**case["kwargs"], "system": {"foo": "bar", "sys.baz": "q"}}
        assert play(playback, clients, {**case, "kwargs": kwargs}, None) == []
    report_count("directory client calls (admin_and_meta0_client)", 1)


def test_deprecated_names_warn() -> None:
    case = next(one for one in section("directory_client") if one["name"] == "show deprecated")
    with playing() as playback:
        clients = Clients(playback)
        with pytest.warns(DeprecationWarning, match="list"):
            assert play(playback, clients, case, None) == []
        gone = {"status": 204, "headers": {}, "body": None}
        request = copy.deepcopy(case["exchanges"][0]["request"])
        request |= {"method": "POST", "path": "/v3.0/OPENIO/reference/destroy"}
        playback.exchanges = [{"request": request, "response": gone}]
        with pytest.warns(DeprecationWarning, match="delete"):
            clients.found["DirectoryClient"].destroy("vecacct", "ref-v1", reqid="vec-0001")
        assert playback.problems == []
