"""Serves the requests of users for copies."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

from dynamo.core.registry.access import Note
from dynamo.dataformat import Block, Dataset, ObjectError, Site
from dynamo.dataformat.request import OPEN, CopyRequest, RequestAction, find_item
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
        for request in view.registry.copy_requests(statuses=list(OPEN)):
            if request.status == CopyRequest.ST_ACTIVATED:
                self._note_progress(view, request)
                continue
            proposals = self._proposals_of(view, request)
            if isinstance(proposals, str):
                self._note(view, "requests.close", request, status="rejected", reason=proposals)
            elif proposals:
                found += proposals
            else:
                self._note(view, "requests.close", request, status="completed")
        return found

    def _proposals_of(self, view: View, request: CopyRequest) -> list[Proposal] | str:
        group = view.inventory.groups.get(request.group)
        if group is None or group.name is None:
            return f"Unknown group {request.group}"
        sites = [site for site in request.find_sites(view.inventory) if view.is_target(site)]
        if not sites:
            return "None of the sites gets copies"
        unknown: list[str] = []
        items = request.find_items(view.inventory, unknown)
        if unknown:
            return f"Unknown item {unknown[0]}"
        if sum(block.size for item in items.items() for block in _members(*item)) > self._max_size:
            return f"It has more than {self._max_size / TB:g} TB"
        found = []
        for dataset, blocks in items.items():
            names = tuple(name for name in request.items if name.partition("#")[0] == dataset.name)
            members = _members(dataset, blocks)
            share = sum(block.size for block in members)
            whole = members == dataset.blocks or share > self._block_share * dataset.size
            chosen = None if whole else tuple(sorted(members, key=lambda block: block.name))
            for destination in self._destinations(request.n, sites, dataset, chosen):
                found.append(Proposal(dataset, chosen, destination, group, sites, request.request_id, names))
        return found

    @staticmethod
    def _destinations(
        copies: int, sites: list[Site], dataset: Dataset, blocks: tuple[Block, ...] | None
    ) -> list[Site | None]:
        members = dataset.blocks if blocks is None else blocks
        missing = [site for site in sites if not _all_at(site, members)]
        if copies == 0:
            return list(missing)
        wanted = copies - (len(sites) - len(missing))
        return [None] * max(0, min(wanted, len(missing)))

    def _note_progress(self, view: View, request: CopyRequest) -> None:
        for action in request.actions or ():
            if action.status == RequestAction.ST_COMPLETED:
                continue
            site = view.inventory.sites.get(action.site)
            try:
                dataset, block = find_item(view.inventory, action.item)
            except ObjectError:
                site = None
            if site is None:
                status = RequestAction.ST_FAILED
            elif _all_at(site, _members(dataset, None if block is None else {block})):
                status = RequestAction.ST_COMPLETED
            else:
                status = RequestAction.ST_QUEUED
            if status != action.status:
                word = RequestAction.status_name(status)
                self._note(
                    view, "requests.set_action", request, item=action.item, site=action.site, status=word
                )

    @staticmethod
    def _note(view: View, name: str, request: CopyRequest, **args: Any) -> None:
        view.notes.append(Note(name, {"kind": "copy", "request_id": request.request_id, **args}))


def _members(dataset: Dataset, blocks: Set[Block] | None) -> Set[Block]:
    return dataset.blocks if blocks is None else blocks


def _all_at(site: Site, blocks: Iterable[Block]) -> bool:
    return all((here := block.find_replica(site)) is not None and here.is_complete() for block in blocks)
