"""Makes more copies of what is asked for often."""

from __future__ import annotations

from typing import Any

from dynamo.dealer.proposal import Proposal, View


class Popularity:
    """Proposes datasets by `attr` request_weight, in requests per copy.

    `request_to_replica_threshold`: weight of one copy; `max_replicas`; `max_dataset_size` in TB.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._threshold = float(config.get("request_to_replica_threshold", 1.75))
        self._max_replicas = int(config.get("max_replicas", 10))
        self._max_size = float(config.get("max_dataset_size", 50.0)) * 1e12

    def proposals(self, view: View) -> list[Proposal]:
        """The most wanted first, each as often as copies are missing."""
        wanted: list[tuple[float, Proposal]] = []
        for _, dataset in sorted(view.inventory.datasets.items()):
            weight = float(dataset.attr.get("request_weight", 0.0))
            size = dataset.size
            if weight <= 0 or size == 0 or size > self._max_size:
                continue
            copies = min(int(weight / self._threshold), self._max_replicas) - len(dataset.replicas)
            wanted += [(weight, Proposal(dataset))] * max(0, copies)
        return [proposal for _, proposal in sorted(wanted, key=lambda pair: -pair[0])]
