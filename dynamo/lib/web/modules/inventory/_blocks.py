"""Blocks, their replicas and their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Block, BlockReplica, DatasetReplica, File
from dynamo.policy.dates import parse_time
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import fits, listed, number_of, text_of, yesno
from dynamo.web.request import Caller


def _yn(value: bool) -> str:
    return "y" if value else "n"


def _blocks(request: dict[str, Any], inventory: ObjectRepository) -> Iterator[Block]:
    """Blocks that patterns of `block` or `dataset` choose, in order of their names."""
    datasets, blocks = listed(request, "dataset"), listed(request, "block")
    for pattern in blocks or ():
        if "#" not in pattern:
            raise IllFormedRequest("block", pattern, hint="a full name reads dataset#block")
    if datasets is None and blocks is None:
        return
    owners = [pattern.split("#", 1)[0] for pattern in blocks or ()]
    for name, dataset in sorted(inventory.datasets.items()):
        whole = datasets is not None and fits(name, datasets)
        if not whole and not fits(name, owners):
            continue
        for block in sorted(dataset.blocks, key=lambda block: block.name):
            if whole or (blocks is not None and fits(block.full_name(), blocks)):
                yield block


def _since(request: dict[str, Any], name: str) -> int | None:
    text = text_of(request, name)
    if text is None:
        return None
    return number_of(request, name) if text.isascii() and text.isdigit() else parse_time(text)


class BlockReplicas(WebModule):
    """`blockreplicas`: `block` or `dataset`, `node`, `group`, `complete`, `update_since`, `create_since`."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        if "block" not in request and "dataset" not in request:
            return []
        nodes, groups = listed(request, "node"), listed(request, "group")
        complete = yesno(request, "complete") if "complete" in request else None
        since = max(_since(request, "update_since") or 0, _since(request, "create_since") or 0)
        found = []
        for block in _blocks(request, inventory):
            replicas = [
                _replica(replica)
                for replica in sorted(block.replicas, key=lambda replica: replica.site.name)
                if fits(replica.site.name, nodes)
                and fits(str(replica.group.name), groups)
                and complete in (None, replica.is_complete())
                and replica.last_update >= since
            ]
            if replicas:
                found.append({**_described(block), "replica": replicas})
        return {"block": found}


def _described(block: Block) -> dict[str, Any]:
    return {
        "name": block.full_name(),
        "id": block.id,
        "files": block.num_files,
        "bytes": block.size,
        "is_open": _yn(block.is_open),
    }


def _replica(replica: BlockReplica) -> dict[str, Any]:
    return {
        "node": replica.site.name,
        "node_id": replica.site.id,
        "se": replica.site.host,
        "bytes": replica.size,
        "files": replica.num_files,
        "complete": _yn(replica.is_complete()),
        "custodial": _yn(replica.is_custodial),
        "group": replica.group.name,
        "subscribed": "y",
        "time_create": replica.last_update,
        "time_update": replica.last_update,
    }


class FileData(WebModule):
    """`data`: files of `block`, once for every site that has them."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        by_dataset: dict[str, list[dict[str, Any]]] = {}
        for block in _blocks(request, inventory):
            files = [
                _file(file, replica)
                for file in sorted(block.files, key=lambda file: file.lfn)
                for replica in sorted(block.replicas, key=lambda replica: replica.site.name)
                if replica.has_file(file)
            ]
            by_dataset.setdefault(block.dataset.name, []).append({**_described(block), "file": files})
        datasets = [{"name": name, "block": blocks} for name, blocks in by_dataset.items()]
        return {"dbs": [{"dataset": datasets}] if datasets else []}


def _file(file: File, replica: BlockReplica) -> dict[str, Any]:
    algorithms = zip(File.checksum_algorithms, file.checksum, strict=False)
    return {
        "lfn": file.lfn,
        "size": file.size,
        "checksum": ",".join(f"{name}:{value}" for name, value in algorithms),
        "node": replica.site.name,
        "time_create": replica.last_update,
    }


class Subscriptions(WebModule):
    """`subscriptions`: whole datasets where one group owns all, else block by block."""

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        nodes, groups = listed(request, "node"), listed(request, "group")
        if yesno(request, "suspended"):
            return {"dataset": []}
        chosen: dict[str, set[Block]] = {}
        for block in _blocks(request, inventory):
            chosen.setdefault(block.dataset.name, set()).add(block)
        found = []
        for name, blocks in chosen.items():
            dataset = inventory.datasets[name]
            entries = [
                entry
                for replica in sorted(dataset.replicas, key=lambda replica: replica.site.name)
                if fits(replica.site.name, nodes)
                for entry in _subscribed(replica, blocks, groups)
            ]
            if entries:
                found.append(
                    {
                        "name": name,
                        "id": dataset.id,
                        "bytes": dataset.size,
                        "files": dataset.num_files,
                        "is_open": _yn(dataset.is_open),
                        "subscription": entries,
                    }
                )
        return {"dataset": found}


def _subscribed(
    replica: DatasetReplica, blocks: set[Block], groups: list[str] | None
) -> Iterator[dict[str, Any]]:
    members = [member for member in replica.block_replicas if member.block in blocks]
    if replica.growing and fits(str(replica.group.name), groups):
        yield {
            "level": "DATASET",
            "node": replica.site.name,
            "node_id": replica.site.id,
            "group": replica.group.name,
            **_progress(members, replica.dataset.size, replica.dataset.num_files),
        }
        return
    for member in sorted(members, key=lambda member: member.block.name):
        if fits(str(member.group.name), groups):
            yield {
                "level": "BLOCK",
                "block": member.block.full_name(),
                "node": member.site.name,
                "node_id": member.site.id,
                "group": member.group.name,
                **_progress([member], member.block.size, member.block.num_files),
            }


def _progress(members: list[BlockReplica], size: int, num_files: int) -> dict[str, Any]:
    here, files = sum(member.size for member in members), sum(member.num_files for member in members)
    return {
        "custodial": _yn(any(member.is_custodial for member in members)),
        "node_bytes": here,
        "percent_bytes": 100.0 * here / size if size else 100.0,
        "percent_files": 100.0 * files / num_files if num_files else 100.0,
        "suspend_until": None,
        "time_update": max((member.last_update for member in members), default=0),
    }
