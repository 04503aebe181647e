"""Blocks and their replicas are rows of numbers; nobody who holds an object for one notices."""

from __future__ import annotations

import gc
import os
import random
from pathlib import Path

import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.dataformat import Block, BlockReplica, Dataset, DatasetReplica, Group, ObjectError, Site, rows
from dynamo.policy.partition_file import parse_partitions

NAMES = [
    "",
    "b",
    "b1",
    "b1b",
    "#",
    "a\nb",
    "x\0y",
    "Ü",
    "ÿ",
    "\u6f22",
    "\U0001f600",
    "'\"",
    *map(str, range(20)),
]
"""Names that begin, end or contain others, and whose letters take one to four bytes."""
PARTITIONS = (
    "All: dataset.name == *\nOdd: blockreplica.last_update newer_than @10\nG: blockreplica.owner == g"
)
Values = tuple[int, int, bool, int]
"""Size, number of files, openness and time of a block."""
Shares = tuple[str | None, bool, int, tuple[int | str, ...] | None, int]
"""Owner, custody, time, list of files and size of a block replica."""


@pytest.fixture
def inventory() -> ObjectRepository:
    found = ObjectRepository()
    found.define_partitions(parse_partitions(PARTITIONS))
    for group in ("g", "h"):
        found.update(Group(group))
    found.update(Dataset("/D"))
    for site in ("S0", "S1", "S2"):
        found.update(Site(site))
        found.update(DatasetReplica("/D", site))
    return found


def _values(block: Block) -> Values:
    return block.size, block.num_files, block.is_open, block.last_update


def _shares(replica: BlockReplica) -> Shares:
    return (
        replica.group.name,
        replica.is_custodial,
        replica.last_update,
        replica.file_ids,
        replica.size if replica.file_ids is not None else -1,
    )


class _Model:
    """What should be there, in plain dictionaries, and objects that somebody holds."""

    def __init__(self, inventory: ObjectRepository) -> None:
        self.inventory = inventory
        self.blocks: dict[str, Values] = {}
        self.replicas: dict[tuple[str, str], Shares] = {}
        self.held_blocks: dict[str, Block] = {}
        self.held: dict[tuple[str, str], BlockReplica] = {}

    def update_block(self, name: str, dice: random.Random) -> None:
        size, files, is_open = dice.randrange(-1, 2**62), dice.randrange(9), dice.random() < 0.5
        values = (size, files, is_open, dice.randrange(-5, 2**40))
        self._hold_block(name, self.inventory.update(Block(name, "/D", *values)), dice)
        self.inventory.files.pinned.clear()  # which holds all new blocks outside a server
        self.blocks[name] = values

    def update_replica(self, name: str, site: str, dice: random.Random) -> None:
        group, custodial = dice.choice(("g", "h", None)), dice.random() < 0.5
        ids, size = dice.choice(((None, -1), ((), 0), ((3, 5), 7)))
        shares = (group, custodial, dice.randrange(20), ids, size)
        block = self.inventory.datasets["/D"].find_block(name, must_find=True)
        assert block is not None
        free = BlockReplica(block, Site(site), group, custodial, size, shares[2], ids)
        if self.inventory.datasets["/D"].find_replica(site) is None:
            self.inventory.update(DatasetReplica("/D", site))
        embedded = self.inventory.update(free)
        assert self.held.get((name, site), embedded) is embedded
        if dice.random() < 0.3:
            self.held[name, site] = embedded
        self.replicas[name, site] = shares

    def assign(self, name: str, site: str, time: int) -> None:
        replica = self.inventory.sites[site].find_block_replica(f"/D#{name}")
        assert replica is not None
        replica.last_update = time
        self.inventory.register_update(replica)
        group, custodial, _, ids, size = self.replicas[name, site]
        self.replicas[name, site] = (group, custodial, time, ids, size)

    def _hold_block(self, name: str, block: Block, dice: random.Random) -> None:
        assert self.held_blocks.get(name, block) is block
        if dice.random() < 0.3:
            self.held_blocks[name] = block

    def delete_replica(self, name: str, site: str) -> None:
        removed = self.inventory.delete(BlockReplica(f"/D#{name}", site, None))
        assert self.held.pop((name, site), removed) is removed
        assert (removed.block.name, _shares(removed)) == (name, self.replicas.pop((name, site)))

    def delete_block(self, name: str) -> None:
        removed = self.inventory.delete(Block(name, "/D"))
        assert self.held_blocks.pop(name, removed) is removed
        assert (removed.name, _values(removed)) == (name, self.blocks.pop(name))
        for key in [key for key in self.replicas if key[0] == name]:
            shares = self.replicas.pop(key)
            replica = self.held.pop(key, None)
            if replica is not None:
                assert replica.block is removed
                assert _shares(replica) == shares

    def check(self) -> None:
        dataset = self.inventory.datasets["/D"]
        assert {block.name: _values(block) for block in dataset.blocks} == self.blocks
        assert dataset.size == sum(values[0] for values in self.blocks.values())
        for name, block in self.held_blocks.items():
            assert dataset.find_block(name) is block
            assert (block.name, _values(block)) == (name, self.blocks[name])
        found = {
            (member.block.name, replica.site.name): _shares(member)
            for replica in dataset.replicas
            for member in replica.block_replicas
        }
        assert found == self.replicas
        for (name, site), replica in self.held.items():
            block = dataset.find_block(name)
            assert block is not None
            assert replica.block is block
            assert block.find_replica(site) is replica
            assert replica in block.replicas
            assert _shares(replica) == self.replicas[name, site]
        for site in self.inventory.sites.values():
            expected: dict[str, set[str]] = {"All": set(), "Odd": set(), "G": set()}
            for (name, place), shares in self.replicas.items():
                if place == site.name:
                    expected["All"].add(name)
                    if shares[2] > 10:
                        expected["Odd"].add(name)
                    if shares[0] == "g":
                        expected["G"].add(name)
            for partition, share in site.partitions.items():
                names = {
                    member.block.name
                    for replica, members in share.replicas.items()
                    for member in (replica.block_replicas if members is None else members)
                }
                assert names == expected[partition.name]
                assert all(members for members in share.replicas.values() if members is not None)
                bytes_there = sum(
                    self.blocks[name][0]
                    if (shares := self.replicas[name, site.name])[3] is None
                    else shares[4]
                    for name in names
                )
                assert share.used() == bytes_there
                assert share.used(physical=False) == sum(self.blocks[name][0] for name in names)


def test_objects_stand_for_the_same_block_whatever_happens_to_other_rows(inventory: ObjectRepository) -> None:
    dice = random.Random(5)
    model = _Model(inventory)
    most = 0
    for number in range(1500):
        name, site = dice.choice(NAMES), dice.choice(("S0", "S1", "S2"))
        act = dice.random()
        if name not in model.blocks or act < 0.1:
            model.update_block(name, dice)
        elif act < 0.2:
            model.delete_block(name)
        elif (name, site) not in model.replicas or act < 0.5:
            model.update_replica(name, site, dice)
        elif act < 0.7:
            model.delete_replica(name, site)
        else:
            model.assign(name, site, dice.randrange(20))
        if dice.random() < 0.05:
            model.held.clear()
            model.held_blocks.clear()
        if number % 10 == 0:
            model.check()
        most = max(most, len(model.replicas))
    model.check()
    assert most > 40
    before = dict(model.held_blocks), dict(model.held)
    dataset = inventory.delete(Dataset("/D"))
    assert (dataset.blocks, dataset.replicas) == (set(), set())
    assert before[0]
    assert before[1]
    for name, block in before[0].items():
        assert (block.name, _values(block)) == (name, model.blocks[name])
        assert block.replicas == set()
    for key, replica in before[1].items():
        assert (replica.block.name, _shares(replica)) == (key[0], model.replicas[key])


def test_what_is_assigned_stays_when_nobody_holds_the_object(inventory: ObjectRepository) -> None:
    inventory.update(Block("b", "/D", 30, 2))
    inventory.update(BlockReplica("/D#b", "S1", "g"))
    inventory.clear_update()
    inventory.files.pinned.clear()
    dataset = inventory.datasets["/D"]
    for block in dataset.blocks:
        block.size, block.num_files, block.is_open, block.last_update, block.id = 7, 3, True, 11, 4
    for replica in inventory.sites["S1"].dataset_replicas()[0].block_replicas:
        replica.group, replica.is_custodial, replica.last_update = inventory.groups["h"], True, 5
        replica.size, replica.file_ids = 2, (1,)
    del block, replica
    assert dataset not in rows._WINDOWS
    found = dataset.find_block("b")
    assert found is not None
    assert (*_values(found), found.id) == (7, 3, True, 11, 4)
    (again,) = found.replicas
    assert _shares(again) == ("h", True, 5, (1,), 2)
    assert again.group is inventory.groups["h"]


@pytest.mark.parametrize("value", [1.5, "7", None, 2**63])
def test_what_is_no_number_cannot_be_assigned(inventory: ObjectRepository, value: object) -> None:
    block = inventory.update(Block("b", "/D", 30, 2, False, 9))
    replica = inventory.update(BlockReplica("/D#b", "S1", "g", last_update=9))
    for obj, name in (
        (block, "size"),
        (block, "num_files"),
        (block, "last_update"),
        (replica, "last_update"),
    ):
        before = getattr(obj, name)
        with pytest.raises(ObjectError, match="is not an integer of 64 bits"):
            setattr(obj, name, value)
        assert getattr(obj, name) == before


def test_lists_are_snapshots(inventory: ObjectRepository) -> None:
    for number in range(9):
        inventory.update(Block(str(number), "/D", 1, 1))
        inventory.update(BlockReplica(f"/D#{number}", "S1", "g"))
    dataset = inventory.datasets["/D"]
    replica = dataset.find_replica("S1")
    assert replica is not None
    for member in replica.block_replicas:
        inventory.delete(member)
    for block in dataset.blocks:
        inventory.delete(block)
    for other in dataset.replicas:
        inventory.delete(other)
    assert (replica.block_replicas, dataset.blocks, dataset.replicas) == (set(), set(), set())


def test_a_child_that_looks_at_every_block_replica_copies_none_of_them() -> None:
    blocks, sites = 500, 400
    inventory = ObjectRepository()
    for number in range(sites):
        inventory.update(Site(f"S{number}"))
    dataset = inventory.update(Dataset("/D"))
    for number in range(blocks):
        dataset.append_block(f"block-{number}", number + 1000, 10, False, number + 1000, number + 1000)
    for site in inventory.sites.values():
        replica = inventory.update(DatasetReplica(dataset, site))
        for block in range(blocks):
            replica.append(block * len(dataset.rows) // blocks, 0, False, block + 1000)
    seen, copied = _in_a_child(inventory)
    assert seen == sites * blocks
    assert 0 < copied < 64 * seen, (
        f"{copied / seen:.0f} bytes for each; an object of its own has more than 90"
    )


def _in_a_child(inventory: ObjectRepository) -> tuple[int, int]:
    """How many block replicas a child sees, and how many bytes it copies by reading their attributes."""
    reading, writing = os.pipe()
    gc.collect()
    gc.freeze()
    try:
        pid = os.fork()
        if pid == 0:
            try:
                begin, seen = _private(), 0
                for dataset in inventory.datasets.values():
                    for replica in dataset.replicas:
                        for member in replica.block_replicas:
                            seen += member.size == member.block.size and member.last_update == member.block.id
                os.write(writing, f"{seen} {_private() - begin}".encode())
            finally:
                os._exit(0)
    finally:
        gc.unfreeze()
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        seen_text, copied_text = answer.read().split()
    os.waitpid(pid, 0)
    return int(seen_text), int(copied_text)


def _private() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
