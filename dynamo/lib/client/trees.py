"""Trees of objects for injection and deletion, from the short forms of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamo.dataformat import DynamoError

Tree = dict[str, Any]


class WrongForm(DynamoError, RuntimeError):
    """A short form is wrong, or two of them do not go together."""


def make_dataset_data(
    datasets: Sequence[str],
    blocks: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    with_sizes: bool = True,
) -> list[Tree]:
    """Datasets `name[,status[,type]]`, blocks of the only one, and files `name,size[,site]` of the only block.

    Raises WrongForm; sizes are not needed for a deletion.
    """
    trees: list[Tree] = []
    for text in datasets:
        name, status, data_type = _parts(text, "unknown", "unknown")
        trees.append({"name": name, "status": status, "data_type": data_type})
    if files and len(blocks or ()) != 1:
        raise WrongForm("--file is only available when one block is given")
    if blocks:
        if len(trees) != 1:
            raise WrongForm("--block is only available when one dataset is given")
        trees[0]["blocks"] = [{"name": name} for name in blocks]
    if files:
        trees[0]["blocks"][0]["files"] = [_file(text, with_sizes) for text in files]
    return trees


def make_site_data(sites: Sequence[str]) -> list[Tree]:
    """Sites `name[,host[,type[,backend[,status]]]]`."""
    names = ("name", "host", "storage_type", "backend", "status")
    return [dict(zip(names, _parts(text, "", "unknown", "", "unknown"), strict=True)) for text in sites]


def make_group_data(groups: Sequence[str]) -> list[Tree]:
    """Groups `name[,level]`."""
    return [dict(zip(("name", "olevel"), _parts(text, "block"), strict=True)) for text in groups]


def make_dataset_replica_data(
    replicas: Sequence[str], block_replicas: Sequence[str] | None = None, files: Sequence[str] | None = None
) -> list[Tree]:
    """Replicas `site:dataset[,owner]`, and of the only one `block[,owner]` with the files that are there.

    A replica with an owner grows.  Raises WrongForm.
    """
    trees: list[Tree] = []
    for text in replicas:
        place, _, owner = text.partition(",")
        site, mark, dataset = place.partition(":")
        if not (site and mark and dataset):
            raise WrongForm(f"Invalid dataset replica spec {text}")
        tree: Tree = {"site": site, "dataset": dataset}
        if owner:
            tree |= {"group": owner, "growing": True}
        trees.append(tree)
    if not block_replicas:
        return trees
    if len(trees) != 1:
        raise WrongForm("--block-replica is only available when one dataset replica is given")
    members = []
    for text in block_replicas:
        block, _, owner = text.partition(",")
        members.append({"block": block, **({"group": owner} if owner else {})})
    if files:
        if len(members) != 1:
            raise WrongForm("--replica-file is only available when one block replica is given")
        members[0]["files"] = list(files)  # type: ignore[assignment]  # the only list among texts
    trees[0]["blockreplicas"] = members
    return trees


def _parts(text: str, *defaults: str) -> list[str]:
    found = text.split(",")
    if not found[0] or len(found) > 1 + len(defaults):
        raise WrongForm(f"{text!r} has {len(found)} parts; give a name and at most {len(defaults)} more")
    return [*found, *defaults[len(found) - 1 :]]


def _file(text: str, with_size: bool) -> Tree:
    name, *rest = text.split(",")
    tree: Tree = {"name": name}
    if with_size:
        if not rest or not rest[0]:
            raise WrongForm(f"Size missing for file {name}")
        if not (rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < 19):
            raise WrongForm(f"Size of file {name} is {rest[0]!r}; give bytes")
        tree["size"] = int(rest[0])
        if len(rest) > 1:
            tree["site"] = rest[1]
    return tree
