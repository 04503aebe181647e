"""Takes what a site that goes away has as the only one."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat import Site
from dynamo.dealer.proposal import Proposal, View


class Undertaker:
    """Proposes every dataset whose full copies are all at sites in morgue, or that are named in `additional_sites`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._additional = set(config.get("additional_sites", ()))

    def proposals(self, view: View) -> list[Proposal]:
        """The smallest datasets first, so that many are safe soon."""
        leaving = {
            site
            for site in view.inventory.sites.values()
            if site.status == Site.STAT_MORGUE or site.name in self._additional
        }
        found = {
            replica.dataset
            for site in leaving
            for replica in site.dataset_replicas()
            if replica.is_full()
            and not any(other.is_full() and other.site not in leaving for other in replica.dataset.replicas)
            and not any(other.growing and other.site not in leaving for other in replica.dataset.replicas)
        }
        return [Proposal(dataset) for dataset in sorted(found, key=lambda item: (item.size, item.name))]
