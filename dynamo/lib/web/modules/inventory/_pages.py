"""Pages of the inventory that people look at."""

from __future__ import annotations

import html
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import bar, table
from dynamo.web.modules.inventory._sites import site_usage
from dynamo.web.modules.inventory._stats import Replication, Size, Usage
from dynamo.web.request import Caller

_STATISTICS = {"size": Size, "replication": Replication, "usage": Usage}


class SitesPage(WebModule, HTMLMixin):
    """All sites with what they hold."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo inventory")

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        rows = []
        for _, site in sorted(inventory.sites.items()):
            found = site_usage(site, None)
            rows.append(
                [
                    html.escape(site.name),
                    str(found["storage_type"]),
                    str(found["status"]),
                    str(len(site.dataset_replicas())),
                    f"{found['total_usage']:.2f} of {found['total_quota']:.2f} TB",
                    bar(found["total_usage"], found["total_quota"]),
                ]
            )
        found_sites = table(["Site", "Storage", "Status", "Datasets", "Used", ""], rows)
        self.body_html = "{TABLE}\n"
        return self.form_html({"TABLE": found_sites})


class StatsPage(WebModule, HTMLMixin):
    """Statistics as a table with bars."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo inventory statistics")
        self._config = config

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        name = str(request.get("statistic", "size"))
        if name not in _STATISTICS:
            raise IllFormedRequest("statistic", name, allowed=list(_STATISTICS))
        data = _STATISTICS[name](self._config).run(caller, request, inventory)
        self.body_html = "{TABLE}\n"
        return self.form_html({"TABLE": self._rows(name, data["content"])})

    @staticmethod
    def _rows(name: str, content: list[dict[str, Any]]) -> str:
        if name == "replication":
            rows = [
                [html.escape(str(row["key"])), f"{row['mean']:.2f}", f"{row['rms']:.2f}"] for row in content
            ]
            return table(["", "Mean replicas", "Spread"], rows)
        if name == "usage":
            content = [
                {"key": f"{row['site']}: {part['key']}", "size": part["size"]}
                for row in content
                for part in row["usage"]
            ]
        largest = max((row["size"] for row in content), default=0.0)
        rows = [
            [html.escape(str(row["key"])), f"{row['size']:.3f} TB", bar(row["size"], largest / 0.9)]
            for row in content
        ]
        return table(["", "Size", ""], rows)
