"""Keeps a number of full copies of some datasets at some sites."""

from __future__ import annotations

from typing import Any

from dynamo.dealer.proposal import Proposal, View
from dynamo.policy.producers import EnforcerRule


class Enforcer:
    """`rules`: by name, with num_copies, destinations, sources and target_datasets."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._rules = [EnforcerRule(name, rule) for name, rule in sorted(config.get("rules", {}).items())]

    def proposals(self, view: View) -> list[Proposal]:
        """One proposal for every copy that is missing and not on its way."""
        found = []
        for rule in self._rules:
            allowed = [site for site in view.targets() if rule.is_destination(site)]
            for _, dataset in sorted(view.inventory.datasets.items()):
                if not rule.wants(dataset):
                    continue
                here = [replica for replica in dataset.replicas if rule.is_destination(replica.site)]
                there = sum(1 for replica in here if replica.is_full() or replica.growing)
                found += [Proposal(dataset, allowed=allowed)] * (rule.num_copies - there)
        return found
