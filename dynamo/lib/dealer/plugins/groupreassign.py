"""Hands data of other groups over to one."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat import ConfigurationError
from dynamo.dealer.proposal import Proposal, View


class GroupReassign:
    """Proposes replicas of `from_groups` at targets, where they are, for `to_group`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._sources = set(config.get("from_groups", ()))
        self._target = str(config.get("to_group", ""))
        if not self._sources or not self._target:
            raise ConfigurationError("A groupreassign plugin needs from_groups and to_group")

    def proposals(self, view: View) -> list[Proposal]:
        """Whole datasets where one group has all of it, else single blocks."""
        group = view.inventory.groups.get(self._target)
        if group is None:
            raise ConfigurationError(f"Unknown group {self._target}")
        found = []
        for site in view.targets():
            for replica in sorted(site.dataset_replicas(), key=lambda item: item.dataset.name):
                members = [member for member in replica.block_replicas if member.group.name in self._sources]
                if not members:
                    continue
                if replica.growing and len(members) == len(replica.dataset.blocks):
                    found.append(Proposal(replica.dataset, destination=site, group=group))
                else:
                    blocks = tuple(sorted((member.block for member in members), key=lambda block: block.name))
                    found.append(Proposal(replica.dataset, blocks, destination=site, group=group))
        return found
