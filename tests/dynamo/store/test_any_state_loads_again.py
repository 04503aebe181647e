"""Whatever changes bring about, memory is what the store holds, and a refused change leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamo.core.components.persistency import Version
from dynamo.core.inventory import BatchRefused
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    DynamoError,
    File,
    Group,
    IntegrityError,
    ObjectError,
    Partition,
    Site,
    SitePartition,
    wire,
)
from dynamo.dataformat.repository import Repository
from dynamo.policy.partition_file import read_partitions

from tests.dynamo.operations import PARTITIONS, operations
from tests.dynamo.snapshot import snapshot
from tests.dynamo.store.conftest import Opener


def _assert_membership_is_recomputed(inventory: Repository) -> None:
    kept = snapshot(inventory)
    inventory.membership.recompute()
    assert snapshot(inventory) == kept


def test_w1_w3_w4_w9_random_changes_leave_no_trace_when_refused_and_load_again(
    tmp_path: Path, opened: Opener
) -> None:
    server = opened(tmp_path)
    accepted = refused = 0
    for round_number in range(40):
        # Most of a round is tried in memory first: only what fits goes to the server, as one batch.
        image = opened(tmp_path)
        proxy = image.create_proxy()
        for action, value in operations(round_number, 60):
            before = snapshot(proxy)
            noted = len(proxy.commands)
            try:
                obj = wire.decode(value)
                proxy.update(obj) if action == "update" else proxy.delete(obj)
                accepted += 1
            except DynamoError:
                refused += 1
                assert snapshot(proxy) == before, (action, value)
                assert len(proxy.commands) == noted
        _assert_membership_is_recomputed(proxy)
        server.apply([(command.action, command.obj) for command in proxy.commands])
        assert snapshot(server) == snapshot(proxy), round_number
        _assert_membership_is_recomputed(server)
        again = opened(tmp_path)
        assert snapshot(again) == snapshot(server), round_number
        for inventory in (image, again):
            inventory.close()
    server.close()
    assert accepted > 500
    assert refused > 100


def test_a_batch_is_applied_as_a_whole_or_not_at_all(tmp_path: Path, opened: Opener) -> None:
    server = opened(tmp_path)
    server.update(Dataset("/A/1"))
    before = snapshot(server)
    good: Any = ("update", wire.encode(Dataset("/A/2")))
    bad: Any = ("update", wire.encode(DatasetReplica("/A/1", "nowhere")))
    with pytest.raises(BatchRefused, match="Command 2 of 3 was refused: Unknown site nowhere"):
        server.apply([good, bad, good])
    assert snapshot(server) == before
    assert snapshot(opened(tmp_path)) == before
    server.apply([good])
    assert "/A/2" in opened(tmp_path).datasets


def test_w7_programs_cannot_make_or_delete_partitions(tmp_path: Path, opened: Opener) -> None:
    proxy = opened(tmp_path).create_proxy()
    with pytest.raises(ObjectError, match="definition file"):
        proxy.update(Partition("New"))
    with pytest.raises(ObjectError, match="definition file"):
        proxy.delete(Partition("Tape"))
    assert proxy.commands == []


def test_a_partition_that_is_no_longer_defined_is_kept_empty(tmp_path: Path, opened: Opener) -> None:
    server = opened(tmp_path)
    server.update(Site("S"))
    server.update(SitePartition("S", "Tape", 5))
    server.close()
    (tmp_path / "partitions.txt").write_text("Default: dataset.name == *\n")
    again = opened(tmp_path)
    share = again.sites["S"].partitions[again.partitions["Tape"]]
    assert share.quota == 5
    assert share.replicas == {}


def test_w8_proxy_small_quota_and_group_of_a_replica_that_does_not_grow_survive(
    tmp_path: Path, opened: Opener
) -> None:
    server = opened(tmp_path)
    server.update(Group("g"))
    server.update(Site("S", x509proxy="/proxies/p"))
    server.update(SitePartition("S", "Default", 1500))
    server.update(Dataset("/A/1", software_version=("CMSSW", 9, (4, 1))))
    server.update(DatasetReplica("/A/1", "S", False, "g"))
    again = opened(tmp_path)
    assert again.sites["S"].x509proxy == "/proxies/p"
    assert again.sites["S"].partitions[again.partitions["Default"]].quota == 1500
    replica = again.datasets["/A/1"].find_replica("S")
    assert replica is not None
    assert (replica.group.name, replica.growing) == ("g", False)
    assert again.datasets["/A/1"].software_version == ("CMSSW", 9, (4, 1))


def test_files_are_read_from_the_store_when_they_are_asked_for(tmp_path: Path, opened: Opener) -> None:
    server = opened(tmp_path)
    server.update(Site("S"))
    server.update(Dataset("/A/1"))
    server.update(Block("b", "/A/1", size=30, num_files=2))
    server.update(DatasetReplica("/A/1", "S"))
    for number in (1, 2):
        server.update(File(f"/f{number}", "/A/1#b", 10 * number))
    server.update(BlockReplica("/A/1#b", "S", None, size=10, file_ids=["/f1"]))
    proxy = opened(tmp_path).create_proxy()
    block = proxy.datasets["/A/1"].find_block("b", must_find=True)
    assert block is not None
    assert {file.lfn for file in block.files} == {"/f1", "/f2"}
    found = proxy.find_file("/f2")
    assert found is not None
    assert found.block is block
    replica = block.find_replica("S", must_find=True)
    assert replica is not None
    assert {file.lfn for file in replica.files()} == {"/f1"}
    assert not replica.is_complete()
    proxy.delete(File("/f1", "/A/1#b"))
    assert (replica.size, replica.file_ids) == (0, ())
    proxy.delete(Dataset("/A/1"))
    assert proxy.find_file("/f2") is None


def test_files_that_do_not_fit_their_block_are_an_error_when_they_are_asked_for(
    tmp_path: Path, opened: Opener
) -> None:
    server = opened(tmp_path)
    server.update(Dataset("/A/1"))
    server.update(Block("b", "/A/1", size=30, num_files=2))
    server.update(File("/f1", "/A/1#b", 10))
    proxy = opened(tmp_path).create_proxy()
    block = proxy.datasets["/A/1"].find_block("b", must_find=True)
    assert block is not None
    with pytest.raises(IntegrityError, match="should have 2 files of 30 bytes together, but the store has 1"):
        _ = block.files


def test_without_a_file_of_definitions_a_partition_has_all_that_has_an_owner(
    tmp_path: Path, opened: Opener
) -> None:
    (partition,) = read_partitions(None)
    assert partition.name == "Default"
    (tmp_path / "partitions.txt").write_text("Default: blockreplica.owner != None\n")
    server = opened(tmp_path)
    server.update(Group("g"))
    server.update(Site("S"))
    for name, group in (("/A/1", "g"), ("/A/2", None)):
        server.update(Dataset(name))
        server.update(Block("b", name, size=1, num_files=1))
        server.update(DatasetReplica(name, "S"))
        replica = server.update(BlockReplica(f"{name}#b", "S", group))
        assert partition.contains(replica) == (group is not None)
    share = server.sites["S"].partitions[server.partitions["Default"]]
    assert [replica.dataset.name for replica in share.replicas] == ["/A/1"]


def test_a_change_names_its_files_since_their_numbers_differ_from_store_to_store(
    tmp_path: Path, opened: Opener
) -> None:
    folders = (tmp_path / "one", tmp_path / "two")
    for folder, order in zip(folders, ((1, 2), (2, 1)), strict=True):
        folder.mkdir()
        server = opened(folder)
        server.update(Site("S"))
        server.update(Dataset("/A/1"))
        server.update(Block("b", "/A/1", size=30, num_files=2))
        server.update(DatasetReplica("/A/1", "S"))
        for number in order:
            server.update(File(f"/f{number}", "/A/1#b", 10 * number))
        server.update(BlockReplica("/A/1#b", "S", None, size=10, file_ids=["/f1"]))
    one, two = (opened(folder) for folder in folders)
    proxy = one.create_proxy()
    replica = proxy.datasets["/A/1"].find_block("b", must_find=True).find_replica("S")  # type: ignore[union-attr]
    assert replica is not None
    assert all(isinstance(member, int) for member in replica.file_ids or ())
    replica.last_update = 5
    proxy.register_update(replica)
    two.apply([(command.action, command.obj) for command in proxy.commands])
    found = two.create_proxy().datasets["/A/1"].find_block("b", must_find=True)
    assert found is not None
    changed = found.find_replica("S", must_find=True)
    assert changed is not None
    assert changed.last_update == 5
    assert {file.lfn for file in changed.files()} == {"/f1"}


def test_a_file_has_one_block_in_the_whole_store(tmp_path: Path, opened: Opener) -> None:
    server = opened(tmp_path)
    server.update(Dataset("/A/1"))
    for name in ("b", "c"):
        server.update(Block(name, "/A/1"))
    server.update(File("/f", "/A/1#b"))
    with pytest.raises(ObjectError, match="/f already belongs to another block"):
        server.update(File("/f", "/A/1#c"))


def test_a_store_is_cloned_with_its_version_and_takes_a_whole_image(tmp_path: Path, opened: Opener) -> None:
    first, second, third = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (first, second, third):
        folder.mkdir()
    server = opened(first)
    proxy = server.create_proxy()
    for action, value in operations(3, 150):
        try:
            obj = wire.decode(value)
            proxy.update(obj) if action == "update" else proxy.delete(obj)
        except DynamoError:
            continue
    original = opened(first)
    original.apply([(command.action, command.obj) for command in proxy.commands], Version(3, 8))
    clone = opened(second)
    clone.clone_store(**opened.persistency(first))
    clone.load()
    assert snapshot(clone) == snapshot(original)
    assert clone.store_version() == (3, 8)
    (third / "partitions.txt").write_text(PARTITIONS)
    original.init_store(**opened.persistency(third))
    original.flush_to_store()
    assert snapshot(opened(third)) == snapshot(original)


def test_patterns_choose_what_is_loaded(tmp_path: Path, opened: Opener) -> None:
    server = opened(tmp_path)
    server.update(Site("S1"))
    server.update(Site("S2"))
    server.update(Dataset("/A/1"))
    server.update(DatasetReplica("/A/1", "S1"))
    server.update(DatasetReplica("/A/1", "S2"))
    server.load(sites=(["S*"], ["S2"]))
    assert [replica.site.name for replica in server.datasets["/A/1"].replicas] == ["S1"]
