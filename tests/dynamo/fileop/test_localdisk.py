"""The back-end for folders of this machine, with its real processes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from dynamo.dataformat import OperationalError
from dynamo.dataformat.fileop import TaskState
from dynamo.fileop.backend import FileTask, Report
from dynamo.fileop.localdisk import BATCH_TASKS, LocalDisk

from tests.dynamo.fileop.test_rooted import make_root
from tests.dynamo.single_server import wait_for

BATCH = "ab12"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LocalDisk]:
    roots = {site: str(make_root(tmp_path, site)) for site in ("A", "B")}
    (tmp_path / "plain").mkdir()
    found = LocalDisk({**roots, "Plain": str(tmp_path / "plain")}, tmp_path / "spool")
    yield found
    found.close()


def ended(disk: LocalDisk) -> dict[int, Report]:
    def reports() -> list[Report]:
        found = disk.reports(BATCH)
        assert found is not None
        return found if all(report.state.is_final for report in found) else []

    return {report.task: report for report in wait_for(reports, "End of a batch")}


def test_files_are_copied_and_deleted_and_failures_have_their_reason(disk: LocalDisk, tmp_path: Path) -> None:
    (tmp_path / "A" / "f").write_bytes(b"four")
    (tmp_path / "B" / "old").write_bytes(b"x")
    tasks = [
        FileTask(1, "/f", "A", "B", 4),
        FileTask(2, "/old", "", "B", 1),
        FileTask(3, "/missing", "A", "B", 4),
        FileTask(4, "/f", "A", "Plain", 4),
        FileTask(5, "/../f", "", "A", 4),
    ]
    disk.start(BATCH, tasks)
    found = ended(disk)
    assert {number: (report.state, report.exit_code) for number, report in found.items()} == {
        1: (TaskState.DONE, 0),
        2: (TaskState.DONE, 0),
        3: (TaskState.FAILED, errno.ENOENT),
        4: (TaskState.FAILED, errno.EINVAL),
        5: (TaskState.FAILED, errno.EINVAL),
    }
    assert (tmp_path / "B" / "f").read_bytes() == b"four"
    assert not (tmp_path / "B" / "old").exists()
    assert list((tmp_path / "plain").iterdir()) == []
    assert disk.num_pending() == 0
    later = LocalDisk({}, tmp_path / "spool")
    assert later.reports(BATCH) == list(found.values())
    disk.forget(BATCH)
    assert disk.reports(BATCH) is None


def test_a_batch_whose_process_is_gone_has_failed(disk: LocalDisk, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / BATCH
    folder.mkdir(parents=True)
    (folder / "batch.json").write_text('{"roots": {}, "tasks": [{"id": 7}]}')
    (report,) = disk.reports(BATCH) or ()
    assert (report.task, report.state) == (7, TaskState.FAILED)


def test_tasks_are_put_together_by_source_and_site(disk: LocalDisk) -> None:
    many = [FileTask(number, f"/{number}", "A", "B", 1) for number in range(BATCH_TASKS + 1)]
    batches = disk.form_batches([*many, FileTask(999, "/x", "", "B", 1)])
    assert [len(batch) for batch in batches] == [BATCH_TASKS, 1, 1]
    assert (disk.can_serve("A"), disk.can_serve("Elsewhere")) == (True, False)
    with pytest.raises(OperationalError, match="no name of a batch"):
        disk.reports("../x")
