"""Injection and deletion of whole trees of objects in one request."""

from __future__ import annotations

import time
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Block, BlockReplica, Configuration, Dataset, DatasetReplica, File, Group, Site
from dynamo.web.exceptions import (
    AuthorizationError,
    IllFormedRequest,
    InvalidRequest,
    MissingParameter,
)
from dynamo.web.modules._base import WebModule
from dynamo.web.request import Caller

Tree = dict[str, Any]
_KINDS = ("site", "group", "dataset", "datasetreplica")
"""In the order in which they can be made; they can be deleted in the opposite one."""


class _Change(WebModule):
    done = ""
    kinds = _KINDS

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.write_enabled = True
        self.must_authenticate = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        if ("admin", "inventory") not in caller.authlist:
            raise AuthorizationError
        data = self.input_data
        if not isinstance(data, dict):
            raise IllFormedRequest("input", type(data).__name__, hint="data must be a dict type")
        unknown = set(data) - set(_KINDS)
        if unknown:
            raise InvalidRequest(f"Unknown kinds of objects {sorted(unknown)}; known are {list(_KINDS)}")
        counts: dict[str, int] = {}
        for kind in self.kinds:
            for tree in _trees(data, kind, "input"):
                self.one(kind, tree, inventory, counts)
        self.message = self.done
        return counts

    def one(self, kind: str, tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        """Change what one tree names, and count it."""
        raise NotImplementedError


def _trees(owner: Tree, kind: str, context: str) -> list[Tree]:
    found = owner.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(tree, dict) for tree in found):
        raise IllFormedRequest(kind, type(found).__name__, hint=f"{context} needs a list of objects")
    return found


def _needed(tree: Tree, name: str, context: str) -> Any:
    if name not in tree:
        raise MissingParameter(name, f"{context} {tree}")
    return tree[name]


def _name(tree: Tree, name: str, context: str) -> str:
    found = _needed(tree, name, context)
    if not isinstance(found, str):
        raise IllFormedRequest(name, found, hint=f"{context} needs a text")
    return found


def _dataset(inventory: ObjectRepository, name: str) -> Dataset:
    dataset = inventory.datasets.get(name)
    if dataset is None:
        raise InvalidRequest(f"Unknown dataset {name}")
    return dataset


def _site(inventory: ObjectRepository, name: str) -> Site:
    site = inventory.sites.get(name)
    if site is None:
        raise InvalidRequest(f"Unknown site {name}")
    return site


def _block(dataset: Dataset, name: str) -> Block:
    block = dataset.find_block(name)
    if block is None:
        raise InvalidRequest(f"Unknown block {dataset.name}#{name}")
    return block


def _replica(dataset: Dataset, site: Site) -> DatasetReplica:
    replica = dataset.find_replica(site)
    if replica is None:
        raise InvalidRequest(f"Dataset {dataset.name} has no replica at {site.name}")
    return replica


class InjectSync(_Change):
    """`injectsync`: new objects, and new parts of known ones.  What exists is not overwritten."""

    done = "Data is injected."

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self._made_for_files: set[BlockReplica] = set()

    def one(self, kind: str, tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        match kind:
            case "site":
                name = _name(tree, "name", kind)
                known = name in inventory.sites
                if not known:
                    fields = ("host", "storage_type", "backend", "status")
                    inventory.update(Site(name, **{key: tree[key] for key in fields if key in tree}))
                _count(counts, "sites", not known)
            case "group":
                name = _name(tree, "name", kind)
                known = name in inventory.groups
                if not known:
                    inventory.update(Group(name, tree.get("olevel", Group.OL_BLOCK)))
                _count(counts, "groups", not known)
            case "dataset":
                self._dataset(tree, inventory, counts)
            case _:
                self._dataset_replica(tree, inventory, counts)

    def _dataset(self, tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        name = _name(tree, "name", "dataset")
        dataset = inventory.datasets.get(name)
        _count(counts, "datasets", dataset is None)
        if dataset is None:
            fields = ("status", "data_type", "software_version")
            values = {key: tree[key] for key in fields if key in tree}
            dataset = inventory.update(Dataset(name, last_update=int(time.time()), **values))
        for part in _trees(tree, "blocks", "dataset"):
            block_name = _name(part, "name", "block")
            block = dataset.find_block(block_name)
            _count(counts, "blocks", block is None)
            if block is None:
                now = int(time.time())
                block = inventory.update(Block(block_name, dataset, is_open=True, last_update=now))
                for replica in list(dataset.replicas):
                    if replica.growing:
                        inventory.update(BlockReplica(block, replica.site, replica.group, last_update=now))
            for leaf in _trees(part, "files", "block"):
                known = block.find_file(_name(leaf, "name", "file")) is not None
                _count(counts, "files", not known)
                if not known:
                    self._file(leaf, block, inventory)

    def _file(self, leaf: Tree, block: Block, inventory: ObjectRepository) -> None:
        size = _needed(leaf, "size", "file")
        if type(size) is not int or size < 0:
            raise IllFormedRequest("size", size, hint="give bytes")
        here = None
        if "site" in leaf:
            site = _site(inventory, _name(leaf, "site", "file"))
            is_new = block.find_replica(site) is None
            here = _replica_for(block, site, inventory)
            if is_new:
                self._made_for_files.add(here)
        elif block.replicas:
            raise MissingParameter("site", f"file {leaf}")
        grow(inventory, File(leaf["name"], block, size), here)

    def _dataset_replica(self, tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        dataset = _dataset(inventory, _name(tree, "dataset", "datasetreplica"))
        site = _site(inventory, _name(tree, "site", "datasetreplica"))
        replica = dataset.find_replica(site)
        _count(counts, "datasetreplicas", replica is None)
        if replica is None:
            growing = bool(tree.get("growing", True)) and bool(dataset.replicas)
            replica = inventory.update(DatasetReplica(dataset, site, growing, tree.get("group")))
        for part in _trees(tree, "blockreplicas", "datasetreplica"):
            block = _block(dataset, _name(part, "block", "blockreplica"))
            known = block.find_replica(site)
            _count(counts, "blockreplicas", known is None or known in self._made_for_files)
            if known is not None:
                continue
            group = part.get("group", replica.group.name)
            now = int(time.time())
            if "files" not in part:
                inventory.update(BlockReplica(block, site, group, last_update=now))
                continue
            if not isinstance(part["files"], list):
                raise IllFormedRequest("files", part["files"], hint="blockreplica needs a list of names")
            files = [block.find_file(str(name), must_find=True) for name in part["files"]]
            size = sum(file.size for file in files if file is not None)
            names = [file.lfn for file in files if file is not None]
            inventory.update(BlockReplica(block, site, group, size=size, last_update=now, file_ids=names))


def _count(counts: dict[str, int], name: str, changed: bool) -> None:
    counts[name] = counts.get(name, 0) + changed


def _replica_for(block: Block, site: Site, inventory: ObjectRepository) -> BlockReplica:
    if block.dataset.find_replica(site) is None:
        inventory.update(DatasetReplica(block.dataset, site))
    found = block.find_replica(site)
    if found is None:
        group = _replica(block.dataset, site).group
        found = inventory.update(
            BlockReplica(block, site, group, size=0 if block.num_files else -1, last_update=int(time.time()))
        )
    assert isinstance(found, BlockReplica)
    return found


def grow(inventory: ObjectRepository, file: File, here: BlockReplica | None) -> None:
    """Add a file to its block: sums grow, the replica `here` gets it, all other full ones become partial."""
    assert file.block is not None, "a file of a block"
    block = file.block
    old = [member.id or member.lfn for member in block.files]
    others = [replica for replica in block.replicas if replica is not here and replica.file_ids is None]
    for replica in others:
        replica.size, replica.file_ids = block.size, tuple(sorted(old, key=str))
    embedded = inventory.update(file)
    block.size += file.size
    block.num_files += 1
    block.last_update = int(time.time())
    inventory.register_update(block)
    if here is not None:
        here.add_file(embedded)
        others.append(here)
    for replica in others:
        inventory.register_update(replica)


class DeleteSync(_Change):
    """`deletesync`: of every tree the deepest objects that it names."""

    done = "Data is deleted."
    kinds = _KINDS[::-1]

    def one(self, kind: str, tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        match kind:
            case "site":
                inventory.delete(_site(inventory, _name(tree, "name", kind)))
                _count(counts, "sites", True)
            case "group":
                name = _name(tree, "name", kind)
                if inventory.delete(Group(name)) is None:
                    raise InvalidRequest(f"Unknown group {name}")
                _count(counts, "groups", True)
            case "dataset":
                self._dataset(tree, inventory, counts)
            case _:
                self._dataset_replica(tree, inventory, counts)

    @staticmethod
    def _dataset(tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        dataset = _dataset(inventory, _name(tree, "name", "dataset"))
        parts = _trees(tree, "blocks", "dataset")
        _count(counts, "datasets", not parts)
        if not parts:
            inventory.delete(dataset)
        for part in parts:
            block = _block(dataset, _name(part, "name", "block"))
            leaves = _trees(part, "files", "block")
            _count(counts, "blocks", not leaves)
            if not leaves:
                inventory.delete(block)
            for leaf in leaves:
                file = block.find_file(_name(leaf, "name", "file"))
                if file is None:
                    raise InvalidRequest(f"Unknown file {leaf['name']}")
                inventory.delete(file)
                block.size -= file.size
                block.num_files -= 1
                inventory.register_update(block)
                _count(counts, "files", True)

    @staticmethod
    def _dataset_replica(tree: Tree, inventory: ObjectRepository, counts: dict[str, int]) -> None:
        dataset = _dataset(inventory, _name(tree, "dataset", "datasetreplica"))
        site = _site(inventory, _name(tree, "site", "datasetreplica"))
        replica = _replica(dataset, site)
        parts = _trees(tree, "blockreplicas", "datasetreplica")
        _count(counts, "datasetreplicas", not parts)
        if not parts:
            inventory.delete(replica)
        for part in parts:
            found = _block(dataset, _name(part, "block", "blockreplica")).find_replica(site)
            if found is None:
                raise InvalidRequest(f"Block {part['block']} has no replica at {site.name}")
            inventory.delete(found)
            _count(counts, "blockreplicas", True)
