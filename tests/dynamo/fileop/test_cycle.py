"""The state machine of file operations, step by step with a back-end that does what the test says."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.core.master.database import open_master
from dynamo.core.serverconfig import MasterConfig
from dynamo.dataformat import Block, BlockReplica, Dataset, DatasetReplica, File, OperationalError, Site
from dynamo.dataformat.fileop import TaskState
from dynamo.fileop.backend import FileTask, Report
from dynamo.fileop.cycle import FileOperations
from dynamo.fileop.results import apply_finished
from dynamo.fileop.subscriptions import Status, Subscriptions
from dynamo.fileop.tasks import Tasks

from tests.dynamo.mariadb import MariaDB


class ScriptedBackend:
    """Keeps batches; the test ends their tasks."""

    def __init__(self) -> None:
        self.batches: dict[str, dict[int, Report]] = {}
        self.tasks: dict[int, FileTask] = {}
        self.cancelled: list[int] = []
        self.refuses = False

    def can_serve(self, site: str) -> bool:
        return site != "Far"

    def form_batches(self, tasks: Sequence[FileTask]) -> list[list[FileTask]]:
        return [[task] for task in tasks]

    def start(self, batch: str, tasks: Sequence[FileTask]) -> None:
        if self.refuses:
            raise OperationalError("not now")
        self.batches[batch] = {task.id: Report(task.id, TaskState.ACTIVE) for task in tasks}
        self.tasks.update({task.id: task for task in tasks})

    def cancel(self, batch: str, tasks: Sequence[int]) -> None:
        self.cancelled += tasks

    def num_pending(self) -> int:
        return sum(not report.state.is_final for batch in self.batches.values() for report in batch.values())

    def reports(self, batch: str) -> list[Report] | None:
        return list(self.batches[batch].values()) if batch in self.batches else None

    def forget(self, batch: str) -> None:
        del self.batches[batch]

    def cleanup(self) -> None:
        pass

    def end(self, state: TaskState = TaskState.DONE, code: int = 0) -> list[FileTask]:
        """End everything that is being worked on; what that was."""
        ended = []
        for batch in self.batches.values():
            for number, report in batch.items():
                if not report.state.is_final:
                    batch[number] = Report(number, state, code, "said the test", 1, 2)
                    ended.append(self.tasks[number])
        return ended


class World:
    def __init__(self, master: MasterConfig) -> None:
        self.database = open_master(master)
        self.backend = ScriptedBackend()
        self.inventory = _inventory()
        self.subscriptions = Subscriptions(self.database)
        self.operations = FileOperations(
            self.database, self.backend, self.inventory, pick=lambda names: sorted(names)[0]
        )

    def states(self) -> dict[tuple[str, str, bool], str]:
        rows = [row for status in Status for row in self.subscriptions.of_status(status)]
        return {(row.file, row.site, row.is_deletion): row.status for row in rows}

    def rest(self) -> None:
        """Let the time pass that a file rests after a failure."""
        self.database.execute("UPDATE file_subscriptions SET updated = updated - 3600")


def _inventory() -> ObjectRepository:
    inventory = ObjectRepository()
    for name in ("A", "B", "C", "Far"):
        inventory.update(Site(name, status="ready"))
    inventory.update(Site("Down", status="morgue"))
    inventory.update(Dataset("/D"))
    inventory.update(Block("b", "/D", size=30, num_files=2))
    for name, size in (("/f1", 10), ("/f2", 20)):
        inventory.update(File(name, "/D#b", size))
    for site in ("A", "B"):
        inventory.update(DatasetReplica("/D", site))
        inventory.update(BlockReplica("/D#b", site, None))
    return inventory


FILES = [("/f1", "/D#b", 10), ("/f2", "/D#b", 20)]


TABLES = ("file_subscriptions", "file_tasks", "failed_transfers", "file_history")


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def master(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MasterConfig]:
    if request.param == "sqlite":
        yield MasterConfig(path=str(tmp_path_factory.mktemp("fileop") / "server.db"))
        return
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    yield MasterConfig(db_params=mariadb.create("fileop"))
    mariadb.drop("fileop")


@pytest.fixture
def world(master: MasterConfig) -> Iterator[World]:
    found = World(master)
    for table in TABLES:
        found.database.execute(f"DELETE FROM {table}")
    yield found
    found.database.close()


def test_files_are_started_done_and_told_to_the_inventory(world: World) -> None:
    assert world.subscriptions.subscribe("C", FILES) == 2
    assert world.subscriptions.subscribe("C", FILES) == 0
    world.operations.run()
    assert set(world.states().values()) == {Status.INBATCH}
    world.operations.run()
    assert [(task.file, task.source, task.site) for task in world.backend.end()] == [
        ("/f1", "A", "C"),
        ("/f2", "A", "C"),
    ]
    world.operations.run()
    assert set(world.states().values()) == {Status.DONE}
    assert not world.backend.batches
    history = Tasks(world.database).history(False, 0)
    assert [(row["file"], row["source"], row["site"], row["status"]) for row in history] == [
        ("/f1", "A", "C", "done"),
        ("/f2", "A", "C", "done"),
    ]
    inventory = world.inventory
    inventory.update(DatasetReplica("/D", "C"))
    inventory.update(BlockReplica("/D#b", "C", None, size=0))
    finished = world.subscriptions.finished()
    world.subscriptions.forget(apply_finished(inventory, finished))
    replica = inventory.datasets["/D"].find_replica("C", must_find=True)
    assert replica is not None
    assert replica.is_full()
    assert world.states() == {}


def test_after_failures_every_source_is_tried_and_then_the_file_is_held(world: World) -> None:
    world.subscriptions.subscribe("C", FILES[:1])
    tried = []
    for _ in range(3):
        world.operations.run()
        tried += [task.source for task in world.backend.end(TaskState.FAILED, errno.ENOENT)]
        world.operations.run()
        if not world.subscriptions.of_status(Status.HELD):
            assert set(world.states().values()) == {Status.RETRY}
            world.operations.run()
            assert not world.backend.num_pending(), "it rests first"
        world.rest()
    assert tried == ["A", "B"]
    (held,) = world.subscriptions.of_status(Status.HELD)
    assert held.hold_reason == "all_failed"
    assert world.subscriptions.release_held() == 1
    world.operations.run()
    assert world.backend.end()[0].source == "A"


@pytest.mark.parametrize("site", ["Far", "Down", "Unknown"])
def test_a_site_that_cannot_be_reached_holds_its_files(world: World, site: str) -> None:
    world.subscriptions.subscribe(site, FILES[:1])
    world.operations.run()
    assert [row.hold_reason for row in world.subscriptions.of_status(Status.HELD)] == ["site_unavailable"]


def test_a_file_that_nobody_has_is_held(world: World) -> None:
    world.subscriptions.subscribe("C", [("/nobody", "/D#x", 1)])
    world.operations.run()
    assert [row.hold_reason for row in world.subscriptions.of_status(Status.HELD)] == ["no_source"]


def test_a_transfer_cancels_a_deletion_and_the_reverse(world: World) -> None:
    world.subscriptions.desubscribe("B", FILES[:1])
    world.subscriptions.subscribe("B", FILES[:1])
    assert world.states() == {("/f1", "B", True): Status.CANCELLED, ("/f1", "B", False): Status.NEW}
    world.operations.run()
    assert world.states() == {("/f1", "B", False): Status.INBATCH}
    world.subscriptions.desubscribe("B", FILES[:1])
    world.operations.run()
    (task,) = world.backend.tasks.values()
    assert world.backend.cancelled == [task.id]
    assert world.backend.num_pending() == 1, "the deletion waits until nobody works on the file any more"
    world.backend.end(TaskState.CANCELLED)
    world.operations.run()
    assert world.states() == {("/f1", "B", True): Status.INBATCH}
    assert [(task.source, task.site) for task in world.backend.end()] == [("", "B")]


def test_what_a_back_end_has_forgotten_or_refused_begins_again(world: World) -> None:
    world.backend.refuses = True
    world.subscriptions.desubscribe("B", FILES[:1])
    world.operations.run()
    world.backend.refuses = False
    world.operations.run()
    assert world.backend.num_pending() == 1
    world.backend.batches.clear()
    world.operations.run()
    assert world.backend.num_pending() == 1
    world.database.execute("DELETE FROM file_tasks")
    world.backend.batches.clear()
    world.operations.run()
    assert [task.file for task in world.backend.end()] == ["/f1"]


def test_the_last_deleted_file_of_a_replica_that_nobody_owns_takes_it_along(world: World) -> None:
    inventory = world.inventory
    rows = [
        {"id": number, "file": name, "block": block, "site": "B", "is_deletion": True}
        for number, (name, block, _) in enumerate(FILES)
    ]
    assert apply_finished(inventory, rows[:1]) == [0]
    replica = inventory.datasets["/D"].find_replica("B", must_find=True)
    assert replica is not None
    assert [(member.size, member.num_files) for member in replica.block_replicas] == [(20, 1)]
    apply_finished(inventory, rows[1:])
    assert inventory.datasets["/D"].find_replica("B") is None
    assert apply_finished(inventory, rows) == [0, 1]
