"""Takes load from sites where too much cannot be deleted."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat import Site
from dynamo.dealer.proposal import Proposal, View


class Balancer:
    """Proposes datasets that the last cycle of Detox protected at sites with the most protected data.

    `target_reasons`: lines of the policy that count, by default all; `max_dataset_size` in TB.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._reasons = set(config.get("target_reasons", ()))
        self._max_size = float(config.get("max_dataset_size", 50.0)) * 1e12

    def proposals(self, view: View) -> list[Proposal]:
        """From sites above the mean, one dataset after the other, those that are full first."""
        protected = self._protected(view)
        fractions: dict[Site, float] = {}
        for site in view.inventory.sites.values():
            quota = site.partitions[view.partition].quota
            if quota > 0:
                fractions[site] = sum(size for _, size in protected.get(site.name, ())) / quota
        if not fractions:
            return []
        mean = sum(fractions.values()) / len(fractions)
        found = []
        for site in sorted(fractions, key=lambda site: (-fractions[site], site.name)):
            excess = (fractions[site] - mean) * site.partitions[view.partition].quota
            for name, size in sorted(protected.get(site.name, ()), key=lambda row: (row[1], row[0])):
                dataset = view.inventory.datasets.get(name)
                if excess <= 0:
                    break
                if dataset is None or dataset.size > self._max_size:
                    continue
                if sum(1 for replica in dataset.replicas if replica.is_full()) == 1:
                    found.append(Proposal(dataset))
                    excess -= size
        return found

    def _protected(self, view: View) -> dict[str, list[tuple[str, int]]]:
        cycles = view.registry.ask("cycles.listed", operation="detox", partition=view.partition.name, limit=1)
        rows: dict[str, list[tuple[str, int]]] = {}
        for cycle in cycles:
            for row in view.registry.ask("cycles.decisions", cycle=cycle["cycle"], limit=100_000):
                wanted = not self._reasons or row["line"] in self._reasons
                if row["decision"] == "protect" and wanted:
                    rows.setdefault(row["site"], []).append((row["dataset"], row["size"]))
        return rows
