"""A server without a store of its own reads another server's, and has the same as that one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from dynamo.core.borrowed import StoreAhead, check_level
from dynamo.core.components.persistency import Version
from dynamo.core.dynamoinventory import BatchRefused, DynamoInventory, read_only_store
from dynamo.core.objectrepository import Action
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    DynamoError,
    File,
    OperationalError,
    Site,
    wire,
)

from tests.dynamo.operations import operations, with_named_files
from tests.dynamo.snapshot import named_snapshot, snapshot
from tests.dynamo.store.conftest import Opener

BATCHES = 12


def borrower(folder: Path, opened: Opener) -> DynamoInventory:
    """An inventory that reads the store of a folder, without one of its own."""
    inventory = DynamoInventory({"partition_def_path": str(folder / "partitions.txt")})
    inventory.borrow_store(read_only_store(**opened.persistency(folder)))
    inventory.load()
    return inventory


def _with_files(server: DynamoInventory) -> None:
    server.update(Site("S"))
    server.update(Dataset("/A/1"))
    server.update(Block("b", "/A/1", size=30, num_files=2))
    server.update(DatasetReplica("/A/1", "S"))
    for number in (1, 2):
        server.update(File(f"/f{number}", "/A/1#b", 10 * number))
    server.update(BlockReplica("/A/1#b", "S", None, size=10, file_ids=["/f1"]))


@pytest.mark.parametrize("seed", range(4))
def test_batches_have_the_same_effect_whoever_applies_them_first(
    tmp_path: Path, opened: Opener, seed: int
) -> None:
    dice = random.Random(seed)
    owner = opened(tmp_path)
    _with_files(owner)
    other = borrower(tmp_path, opened)
    for number in range(1, BATCHES + 1):
        program = opened(tmp_path).create_proxy()
        for action, value in operations(1000 * seed + number, 25):
            try:
                obj = wire.decode(with_named_files(value))
                program.update(obj) if action == "update" else program.delete(obj)
            except DynamoError:
                continue
        commands: list[tuple[Action, dict[str, object]]] = [
            (command.action, command.obj) for command in program.commands
        ]
        servers = [owner, other]
        dice.shuffle(servers)
        for server in servers:
            server.apply(commands, Version(1, number))
        assert other.version == owner.version == (1, number)
        assert named_snapshot(other) == named_snapshot(owner)
    assert named_snapshot(borrower(tmp_path, opened)) == named_snapshot(owner)


def test_a_program_on_a_borrowed_store_sees_and_changes_files(tmp_path: Path, opened: Opener) -> None:
    owner = opened(tmp_path)
    _with_files(owner)
    other = borrower(tmp_path, opened)
    new: list[tuple[Action, dict[str, object]]] = [
        ("update", wire.encode(Block("new", "/A/1", size=5, num_files=1))),
        ("update", wire.encode(File("/f3", "/A/1#new", 5))),
    ]
    for server in (other, owner):
        server.apply(new, Version(1, 1))
    store = other.store
    assert store is not None
    proxy = other.create_proxy(store.open_snapshot())
    block = proxy.datasets["/A/1"].find_block("new", must_find=True)
    assert block is not None
    assert block.id == 0
    assert {file.lfn for file in block.files} == {"/f3"}
    old = proxy.datasets["/A/1"].find_block("b", must_find=True)
    assert old is not None
    replica = old.find_replica("S", must_find=True)
    assert replica is not None
    assert {file.lfn for file in replica.files()} == {"/f1"}
    proxy.delete(File("/f1", "/A/1#b"))
    owner.apply([(command.action, command.obj) for command in proxy.commands], Version(1, 2))
    again = opened(tmp_path).datasets["/A/1"].find_block("b", must_find=True)
    assert again is not None
    left = again.find_replica("S", must_find=True)
    assert left is not None
    assert (left.size, left.file_ids) == (0, ())


def test_what_the_owner_of_the_store_would_refuse_does_not_get_into_the_log(
    tmp_path: Path, opened: Opener
) -> None:
    _with_files(opened(tmp_path))
    other = borrower(tmp_path, opened)
    before = snapshot(other)
    logged = []

    def log() -> Version:
        logged.append(1)
        return Version(1, 1)

    def replica(*files: str) -> tuple[Action, dict[str, object]]:
        return "update", wire.encode(BlockReplica("/A/1#b", "S", None, size=1, file_ids=files))

    file_of_b: tuple[Action, dict[str, object]] = ("update", wire.encode(File("/f4", "/A/1#b", 1)))
    block_c: tuple[Action, dict[str, object]] = ("update", wire.encode(Block("c", "/A/1")))
    f1_to_c: tuple[Action, dict[str, object]] = ("update", wire.encode(File("/f1", "/A/1#c", 1)))
    gone: tuple[Action, dict[str, object]] = ("delete", wire.encode(File("/f1", "/A/1#b", 10)))
    without_b: tuple[Action, dict[str, object]] = ("delete", wire.encode(Block("b", "/A/1")))
    for batch, reason in (
        ([replica("/nowhere")], "Could not find file /nowhere"),
        ([gone, replica("/f1")], "Could not find file /f1"),
        ([block_c, f1_to_c], "/f1 already belongs to another block"),
    ):
        with pytest.raises((BatchRefused, DynamoError), match=reason):
            other.apply(batch, log)
        assert snapshot(other) == before
    assert not logged
    for batch in ([file_of_b, replica("/f4")], [block_c, gone, f1_to_c], [block_c, without_b, f1_to_c]):
        borrower(tmp_path, opened).apply(batch, log)
        assert logged.pop()
        taking = opened(tmp_path)
        assert taking.store is not None
        with pytest.raises(OperationalError, match="only tried"):
            taking.apply(batch, _only_tried)


def _only_tried() -> Version:
    raise OperationalError("only tried")


def test_a_store_that_has_more_or_less_than_the_image_is_told_apart(tmp_path: Path, opened: Opener) -> None:
    owner = opened(tmp_path)
    owner.apply([("update", wire.encode(Site("S")))], Version(1, 3))
    store = owner.store
    assert store is not None
    check_level(store, Version(1, 3))
    with pytest.raises(StoreAhead):
        check_level(store, Version(1, 2))
    with pytest.raises(OperationalError, match="has batch 3, the image 4"):
        check_level(store, Version(1, 4))


def test_a_store_that_is_not_there_is_not_made_by_who_wants_to_clone_it(tmp_path: Path) -> None:
    missing = tmp_path / "store.db"
    with pytest.raises(OperationalError):
        read_only_store("sqlitestore:SQLiteInventoryStore", {"path": str(missing)}).version()
    assert not missing.exists()
