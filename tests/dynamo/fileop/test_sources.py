"""Which site a file is copied from."""

from __future__ import annotations

import errno

from dynamo.dataformat import Site
from dynamo.fileop.sources import MAX_FAILURES, Choice, choose_source

D1, D2 = Site("D1", status="ready"), Site("D2", status="ready")
TAPE = Site("T", storage_type="mss", status="ready")


def first(names: object) -> str:
    assert isinstance(names, list)
    return str(names[0])


def test_disks_that_were_not_tried_come_first_then_tape() -> None:
    assert choose_source([TAPE, D2, D1], [], first).source == "D1"
    assert choose_source([TAPE, D2, D1], [("D1", errno.EIO)], first).source == "D2"
    failed = [("D1", errno.EIO), ("D2", errno.EIO)]
    assert choose_source([TAPE, D2, D1], failed, first).source == "T"


def test_what_failed_least_often_is_tried_again_unless_its_error_will_come_again() -> None:
    failures = [("D1", errno.EIO), ("D2", errno.EIO), ("T", errno.EIO), ("D1", errno.EIO)]
    assert choose_source([TAPE, D1, D2], failures, first).source == "D2"
    assert choose_source([TAPE, D1, D2], [*failures, ("D2", errno.ENOENT)], first).source == "T"
    gone = [(name, errno.ENOENT) for name in ("D1", "D2")]
    assert choose_source([D1, D2], gone, first) == Choice(None, "all_failed")
    assert choose_source([D1], [("D1", errno.EIO)] * MAX_FAILURES, first) == Choice(None, "all_failed")


def test_without_a_ready_site_there_is_no_source() -> None:
    assert choose_source([], [], first) == Choice(None, "no_source")
    down, buffer = Site("X", status="morgue"), Site("B", storage_type="buffer", status="ready")
    assert choose_source([down, buffer], [], first) == Choice(None, "no_source")


def test_equally_good_sources_are_chosen_at_random() -> None:
    assert {choose_source([D1, D2], []).source for _ in range(200)} == {"D1", "D2"}
