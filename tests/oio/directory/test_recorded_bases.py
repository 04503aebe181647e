"""Moving and rebuilding bases, and carrying out a mapping: requests, results and warnings as recorded."""

from __future__ import annotations

import copy
import logging
import time
from typing import Any

import pytest

from oio.directory.admin import AdminClient
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.meta2 import Meta2Database
from oio.rdir.client import RdirClient
from tests.oio.directory.playback import Playback, playing
from tests.oio.directory.services_in_memory import Listed, by_base, section
from tests.shared import report_count

META2S = [{"addr": f"127.0.0.1:603{number}", "score": 100, "tags": {}} for number in range(1, 6)]
RDIRS = {"127.0.0.1:6031": "6041", "127.0.0.1:6033": "6042", "127.0.0.1:6035": "6042"}


def conf_of(playback: Playback) -> dict[str, Any]:
    playback.standing["/v3.0/OPENIO/conscience/list?type=meta2"] = META2S
    return {"namespace": "OPENIO", "proxyd_url": playback.addresses["127.0.0.1:6000"]}


def knowing(playback: Playback, rdir: RdirClient) -> None:
    """The addresses of rdir services that the recorded client remembered."""
    until = time.monotonic() + 3600
    for volume, port in RDIRS.items():
        rdir._addresses[volume] = ([playback.addresses[f"127.0.0.1:{port}"]], until)


def results_of(value: Any) -> Any:
    """Results with their errors as texts up to what varies."""
    if not isinstance(value, list) or (value and not isinstance(value[0], dict)):
        return list(value) if isinstance(value, tuple) else value
    return [{**one, "err": None if one["err"] is None else words(one["err"])} for one in value]


def words(error: Any) -> str:
    text = error if isinstance(error, str) else repr(error)
    return text.replace('"', "'").replace("ValueError('", "").split(" (peers")[0].split("')")[0]


def test_bases_are_moved_and_rebuilt_as_recorded(caplog: pytest.LogCaptureFixture) -> None:
    compared = 0
    with playing() as playback:
        rdir = RdirClient(conf_of(playback))
        knowing(playback, rdir)
        database = Meta2Database(conf_of(playback), rdir_client=rdir)
        assert database.all_service_ids == [service["addr"] for service in META2S]
        for case in section("meta2_database"):
            owner, _, method = case["call"].partition(".")
            if owner != "Meta2Database":
                continue
            compared += 1
            playback.exchanges = copy.deepcopy(case.get("exchanges", []))
            caplog.clear()
            if method == "reload_all_services":
                playback.exchanges = []
            if "raises" in case and "defect" not in case:
                with pytest.raises(ValueError, match=r"Bad format") as caught:
                    getattr(database, method)(*case["args"])
                assert str(caught.value) == case["raises"]["str"]
                continue
            value = getattr(database, method)(*case["args"])
            found = results_of(list(value) if hasattr(value, "__next__") else value)
            assert playback.problems == [], case["name"]
            assert playback.exchanges == [], case["name"]
            if "defect" in case:
                base, src = case["args"]
                assert found == [{"base": base, "src": src, "dst": None, "err": found[0]["err"]}]
                assert found[0]["err"], case["name"]
            else:
                assert found == results_of(case["returns"]), case["name"]
            lost = [text for level, text in case["logs"] if level == "WARNING" and "Missing base" in text]
            ours = [one.getMessage() for one in caplog.records if "Missing base" in one.getMessage()]
            assert sorted(ours) == sorted(lost), case["name"]
    report_count("directory bases (moved, rebuilt)", compared)


def mapping_with(playback: Playback, case: dict[str, Any]) -> Meta0PrefixMapping:
    conf = conf_of(playback)
    places = {number: {"tag.loc": f"site{number}.rack.host.vol{number}"} for number in range(1, 5)}
    services = [{"addr": f"127.0.0.1:602{n}", "score": 100, "tags": tags} for n, tags in places.items()]
    mapping = Meta0PrefixMapping(
        Meta0Client(conf), digits=2, conscience_client=Listed(services), admin_client=AdminClient(conf)
    )
    for base, keys in case["before"].items():
        mapping.load_json({f"{base}00": keys})
    mapping.decommission("127.0.0.1:6021", ["87"])
    return mapping


def test_a_mapping_is_carried_out_as_recorded() -> None:
    (case,) = section("mapping_apply")
    with playing() as playback:
        playback.copies_from_anyone = True
        mapping = mapping_with(playback, case)
        playback.exchanges = copy.deepcopy(case["exchanges"])
        kwargs = {key: value for key, value in case["kwargs"].items() if key != "moved"}
        assert mapping.apply(case["kwargs"]["moved"]["set"], **kwargs) == case["returns"]
        assert playback.problems == []
        assert playback.exchanges == []
        assert by_base(mapping) == case["after"]
    report_count("directory mapping_apply", 1)


def test_when_the_directory_cannot_be_written_the_old_mapping_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (case,) = section("mapping_apply")
    refusal = {"status": 503, "headers": {"Content-Type": "application/json"}}
    refusal["body"] = {"status": 503, "message": "no majority"}
    with playing() as playback, caplog.at_level(logging.ERROR):
        playback.copies_from_anyone = True
        mapping = mapping_with(playback, case)
        steps = copy.deepcopy(case["exchanges"][:3])
        steps[2]["response"] = refusal
        steps.append(copy.deepcopy(steps[0]))
        peers = ",".join(sorted(case["before"]["87"]))
        steps[3]["request"]["body"] = f'{{"system":{{"sys.peers":"{peers}"}}}}'
        playback.exchanges = steps
        kwargs = {key: value for key, value in case["kwargs"].items() if key != "moved"}
        with pytest.raises(Exception, match="no majority"):
            mapping.apply(["87"], **kwargs)
        assert playback.problems == []
        assert playback.exchanges == []
