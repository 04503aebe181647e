"""The indexer and the rebuilder: requests, counters, warnings and report lines as recorded."""

from __future__ import annotations

import copy
import logging
import os
import queue
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from oio.common.exceptions import OioException
from oio.directory.indexer import Meta2Indexer, Meta2IndexingWorker
from oio.directory.meta2_rebuilder import ContentRepairerWorker, Meta2Rebuilder
from tests.oio.directory.playback import Playback, playing
from tests.oio.directory.services_in_memory import section
from tests.oio.directory.test_recorded_bases import conf_of, knowing
from tests.shared import report_count

MANAGED = "FE6753CC707890FE5C69C190A48A60E7EF4C623E27389F192E2F94AA65CDB83C"
WORDS = {
    "isn't handled bythis volume": "isn't handled by this volume",
    "Unable to to index container": "Unable to index container",
}
COUNTERS = ("success_nb", "failed_nb", "indexed_since_last_report", "full_scan_nb")
CASES = {case["name"]: case for case in section("indexer_and_rebuilder")}


def volume(path: Path, **attributes: str) -> Path:
    path.mkdir(parents=True)
    for name, value in attributes.items():
        os.setxattr(path, f"user.server.{name}", value.encode())
    return path


def ours(text: str) -> str:
    """A recorded line as ours reads."""
    for theirs, word in WORDS.items():
        text = text.replace(theirs, word)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+", "<date>", text)


def worker_of(playback: Playback, folder: Path, **settings: Any) -> Meta2IndexingWorker:
    place = folder if folder.exists() else volume(folder, ns="OPENIO", id="127.0.0.1:6031", type="meta2")
    worker = Meta2IndexingWorker(place, {**conf_of(playback), **settings})
    knowing(playback, worker.index_client)
    return worker


def play(playback: Playback, name: str, exchanges: slice = slice(None)) -> dict[str, Any]:
    """Get ready for a case; requests that look for the rdir service are left out, and times of records."""
    case = copy.deepcopy(CASES[name])
    found = [
        one for one in case.get("exchanges", ()) if ["acct", "_RDIR"] not in (one["request"]["query"] or ())
    ]
    for one in found:
        body = one["request"]["body"]
        one["request"]["body"] = re.sub(r'"mtime":\d+', '"mtime":0', body) if body else body
    playback.exchanges = found[exchanges]
    return case


def counters(worker: Meta2IndexingWorker) -> dict[str, int]:
    return {name: getattr(worker, name) for name in COUNTERS}


def test_a_worker_begins_as_recorded(tmp_path: Path) -> None:
    with playing() as playback:
        worker = worker_of(playback, tmp_path / "v")
        for name, value in CASES["indexer attributes"]["returns"].items():
            assert getattr(worker, name) == value, name
    report_count("directory indexer", 1)


def test_bases_are_indexed_as_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oio.directory.indexer.time.time", lambda: 0.0)
    steps = ["index managed db", "index unmanaged db", "index short id", "index unknown reference"]
    with playing() as playback:
        worker = worker_of(playback, tmp_path / "v")
        removing = worker_of(playback, tmp_path / "v", try_removing_faulty_indexes="true")
        for name in [*steps, "index unmanaged db with removal"]:
            case = play(playback, name)
            one = removing if "removal" in name else worker
            caplog.clear()
            one.index_meta2_database(*case["args"])
            assert playback.problems == [], name
            assert playback.exchanges == [], name
            assert counters(one) == case["counters"], name
            lines = [[record.levelname, record.getMessage()] for record in caplog.records]
            assert lines == [[level, ours(text)] for level, text in case["logs"]], name
    report_count("directory indexer", 5)


def test_a_volume_is_crawled_as_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oio.directory.indexer.time.time", lambda: 0.0)
    with playing() as playback, caplog.at_level(logging.INFO, "oio"):
        worker = worker_of(playback, tmp_path / "v", report_interval=0)
        names = ("short.1.meta2", "bad.meta2", f"{MANAGED}.1.meta2", f"{MANAGED}.1.meta2-journal")
        for name in (*names, f"{MANAGED}.1.meta2.snap.x"):
            place = tmp_path / "v" / "AAA" / name
            place.parent.mkdir(exist_ok=True)
            place.touch()
        case = play(playback, "crawl crafted volume", slice(2))
        worker.crawl_volume()
        assert playback.problems == []
        assert playback.exchanges == []
        # The journal is not a base: one container less than recorded.
        assert counters(worker) == {**case["counters"], "success_nb": 1}
        theirs = [ours(text).replace("/srv/vol", str(tmp_path / "v")) for level, text in case["logs"]]
        warnings = sorted(text for text in theirs if "pass=" not in text)
        found = [record.getMessage() for record in caplog.records]
        assert sorted(text for text in found if "pass=" not in text) == warnings
        form = re.compile(
            r"volume_id=127\.0\.0\.1:6031 (starting|running|ended)=\S+ elapsed=\d+\.\d\d pass=1 errors=0 "
            r"containers_indexed=\d \d+\.\d\d/s"
        )
        assert all(form.fullmatch(text) for text in (*theirs, *found) if "pass=" in text)
        assert "starting=" in found[0]
        assert "ended=" in found[-1]
        worker.stop()
        caplog.clear()
        worker.crawl_volume()
        assert counters(worker) == CASES["crawl when stopped"]["counters"]
        assert len(caplog.records) == len(CASES["crawl when stopped"]["logs"])
    report_count("directory indexer", 2)


def test_what_is_no_meta2_volume_is_refused(tmp_path: Path) -> None:
    volumes = {
        "volume without xattr": volume(tmp_path / "none"),
        "volume of other type": volume(tmp_path / "rawx", ns="OPENIO", id="x", type="rawx"),
    }
    with playing() as playback:
        for name, path in volumes.items():
            with pytest.raises(OioException) as caught:
                Meta2IndexingWorker(path, conf_of(playback))
            assert str(caught.value) == CASES[name]["raises"]["str"].replace("/srv/vol", str(path))
        with pytest.raises(OioException) as caught:
            Meta2Indexer({"namespace": "OPENIO", "volume_list": " , "})
        assert str(caught.value) == CASES["indexer without volume_list"]["raises"]["str"]
    report_count("directory indexer", 3)


def test_an_indexer_stops_in_the_middle_of_its_pause(tmp_path: Path) -> None:
    with playing() as playback:
        for number in (1, 2):
            volume(tmp_path / f"v{number}", ns="OPENIO", id=f"127.0.0.1:603{number}", type="meta2")
        conf = {**conf_of(playback), "volume_list": f"{tmp_path}/v1, {tmp_path}/v2"}
        indexer = Meta2Indexer(conf)
        thread = threading.Thread(target=indexer.run)
        thread.start()
        end = time.monotonic() + 60
        while not all(worker.full_scan_nb for worker in indexer.volume_workers) and time.monotonic() < end:
            time.sleep(0.02)
        indexer.stop()
        # The pause between two crawls is half an hour.
        thread.join(60)
        assert not thread.is_alive()
        wanted = CASES["indexer run then stop"]["returns"]
        assert [worker.stopped for worker in indexer.volume_workers] == wanted["stopped_flags"]
        assert all(worker.full_scan_nb for worker in indexer.volume_workers)
    report_count("directory indexer", 1)


REBUILDS = (
    "rebuild from file, one unknown",
    "rebuild from file, one copy missing",
    "rebuild from rdir of a meta2",
    "rebuild nothing",
)


@pytest.mark.parametrize("name", REBUILDS)
def test_bases_are_rebuilt_as_recorded(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with playing() as playback, caplog.at_level(logging.INFO, "oio"):
        case = play(playback, name)
        lists = [one for one in case["exchanges"] if one["request"]["path"].endswith("conscience/list")]
        playback.exchanges = playback.exchanges[len(lists) :]
        asked = [
            dict(map(tuple, one["request"]["query"]))["cid"]
            for one in case["exchanges"]
            if one["request"]["path"].endswith("reference/show") and "cid" in str(one["request"]["query"])
        ]
        source: dict[str, Any] = {}
        if "rdir" in name:
            source["service_id"] = "127.0.0.1:6035"
        elif asked:
            (tmp_path / "list").write_text("# to rebuild\n\n" + "\n".join(asked) + "\n")
            source["input_file"] = tmp_path / "list"
        rebuilder = Meta2Rebuilder({**conf_of(playback), "items_per_second": 0}, **source)
        knowing(playback, rebuilder.rdir_client)
        rebuilder.prepare_local_dispatcher()
        found = sorted([list(item), info, error] for item, info, error in rebuilder.run())
        assert playback.problems == []
        assert playback.exchanges == []
        assert found == sorted(case["results"])
        assert [rebuilder.total_items_processed, rebuilder.total_errors] == case["totals"]
        lines = [reported(record) for record in caplog.records if "references=" in record.getMessage()]
        assert lines == [line for line in case["logs"] if "references=" in line[1]]
        lost = [line[1] for line in case["logs"] if "Missing base" in line[1]]
        assert [one.getMessage() for one in caplog.records if "Missing base" in one.getMessage()] == lost
        assert rebuilder.is_success() is case["success"]
    report_count("directory rebuilder", 1)


def reported(record: logging.LogRecord) -> list[str]:
    """A report line with its dates and rates made alike."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+", "<date>", record.getMessage())
    return [record.levelname, re.sub(r"[\d.]+(?=s |/s|%)", "<n>", text)]


def test_the_rest_of_the_rebuilder_is_as_recorded() -> None:
    with playing() as playback:
        rebuilder = Meta2Rebuilder(conf_of(playback))
        with pytest.raises(ValueError, match=r"^No dispatcher$"):
            rebuilder.run()
        case = CASES["string_from_item"]
        assert rebuilder.string_from_item(*case["args"]) == case["returns"]
        worker = rebuilder.create_worker(queue.Queue(), queue.Queue())
        assert isinstance(worker, ContentRepairerWorker)
        case = CASES["worker refuses other namespace"]
        with pytest.raises(ValueError, match="Invalid namespace") as caught:
            worker._process_item(*case["args"])
        assert str(caught.value) == case["raises"]["str"]
        for name, value in CASES["constants"]["returns"].items():
            assert getattr(rebuilder, name) == value
    report_count("directory rebuilder", 4)
