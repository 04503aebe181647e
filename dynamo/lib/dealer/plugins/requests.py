"""Serves the requests of users for copies."""

from __future__ import annotations

from typing import Any

from dynamo.core.registry.access import Note
from dynamo.dataformat import Block, Dataset, ObjectError, Site
from dynamo.dealer.proposal import Proposal, View

TB = 1e12


class CopyRequests:
    """Proposes what open requests ask for.

    `max_size` in TB: larger requests are rejected; `block_request_max`: from this share of a dataset on, all of it is
    copied.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._max_size = float(config.get("max_size", 1000.0)) * TB
        self._block_share = float(config.get("block_request_max", 1.0))

    def proposals(self, view: View) -> list[Proposal]:
        """Requests in order of their numbers; impossible ones are noted as rejected, progress of others is noted."""
        found: list[Proposal] = []
        for request in view.registry.ask("requests.find", kind="copy", statuses=["new", "activated"]):
            if request["status"] == "activated":
                self._note_progress(view, request)
                continue
            proposals = self._proposals_of(view, request)
            if isinstance(proposals, str):
                self._note(view, "requests.close", request, status="rejected", reason=f"{proposals}")
            elif proposals:
                found += proposals
            else:
                self._note(view, "requests.close", request, status="completed")
        return found

    def _proposals_of(self, view: View, request: dict[str, Any]) -> list[Proposal] | str:
        group = view.inventory.groups.get(request["group"])
        if group is None or group.name is None:
            return f"Unknown group {request['group']}"
        sites = [
            site
            for name in request["site"]
            if (site := view.inventory.sites.get(name)) is not None and view.is_target(site)
        ]
        if not sites:
            return "None of the sites gets copies"
        items = self._items(view, request["item"])
        if isinstance(items, str):
            return items
        if sum(block.size for _, blocks, _ in items for block in blocks) > self._max_size:
            return f"It has more than {self._max_size / TB:g} TB"
        found = []
        for dataset, blocks, names in items:
            share = sum(block.size for block in blocks)
            whole = set(blocks) == dataset.blocks or share > self._block_share * dataset.size
            chosen = None if whole else tuple(sorted(blocks, key=lambda block: block.name))
            for destination in self._destinations(request["n"], sites, dataset, chosen):
                found.append(
                    Proposal(dataset, chosen, destination, group, sites, request["request_id"], tuple(names))
                )
        return found

    @staticmethod
    def _destinations(
        copies: int, sites: list[Site], dataset: Dataset, blocks: tuple[Block, ...] | None
    ) -> list[Site | None]:
        members = dataset.blocks if blocks is None else blocks
        missing = [
            site
            for site in sites
            if not all(
                (here := block.find_replica(site)) is not None and here.is_complete() for block in members
            )
        ]
        if copies == 0:
            return list(missing)
        wanted = copies - (len(sites) - len(missing))
        return [None] * max(0, min(wanted, len(missing)))

    @staticmethod
    def _items(view: View, names: list[str]) -> list[tuple[Dataset, set[Block], list[str]]] | str:
        chosen: dict[Dataset, tuple[set[Block], list[str]]] = {}
        for name in names:
            dataset_name, mark, block_name = name.partition("#")
            dataset = view.inventory.datasets.get(dataset_name)
            if dataset is None:
                return f"Unknown item {name}"
            blocks, asked = chosen.setdefault(dataset, (set(), []))
            asked.append(name)
            if not mark:
                blocks |= dataset.blocks
                continue
            try:
                block = dataset.find_block(Block.to_internal_name(block_name))
            except ObjectError:
                block = None
            if block is None:
                return f"Unknown item {name}"
            blocks.add(block)
        return [(dataset, blocks, asked) for dataset, (blocks, asked) in chosen.items()]

    def _note_progress(self, view: View, request: dict[str, Any]) -> None:
        for action in request.get("active", ()):
            if action["status"] == "completed":
                continue
            items = self._items(view, [action["item"]])
            site = view.inventory.sites.get(action["site"])
            if isinstance(items, str) or site is None:
                state = "failed"
            else:
                done = all(
                    (here := block.find_replica(site)) is not None and here.is_complete()
                    for _, blocks, _ in items
                    for block in blocks
                )
                state = "completed" if done else "queued"
            if state != action["status"]:
                self._note(
                    view,
                    "requests.set_action",
                    request,
                    item=action["item"],
                    site=action["site"],
                    status=state,
                )

    @staticmethod
    def _note(view: View, name: str, request: dict[str, Any], **args: Any) -> None:
        view.notes.append(Note(name, {"kind": "copy", "request_id": request["request_id"], **args}))
