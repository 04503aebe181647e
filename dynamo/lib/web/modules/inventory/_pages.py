"""Pages of the inventory that people look at."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlencode

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.dataformat.sizes import readable_size
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import bar, status_word, table
from dynamo.web.modules.inventory._sites import TB, site_usage
from dynamo.web.modules.inventory._stats import DEFAULT_KEY, KEYS, Replication, Size, Usage
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
            used, quota = found["total_usage"] * TB, found["total_quota"] * TB
            if quota:
                text, shown = f"{readable_size(used)} of {readable_size(quota)}", bar(used, quota)
            else:
                held = sum(replica.size() for replica in site.dataset_replicas())
                has_no_limit = any(share.quota < 0 for share in site.partitions.values())
                text, shown = f"{readable_size(held)}, {'unlimited' if has_no_limit else 'no quota'}", ""
            rows.append(
                [
                    html.escape(site.name),
                    str(found["storage_type"]),
                    status_word(str(found["status"])),
                    str(len(site.dataset_replicas())),
                    text,
                    shown,
                ]
            )
        found_sites = table(
            ["Site", "Storage", "Status", "Datasets", "Used", ""],
            rows,
            "There is no site in the inventory yet.",
        )
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
        self.body_html = "{CHOICES}\n{TABLE}\n"
        return self.form_html(
            {
                "CHOICES": _choices(name, request),
                "TABLE": self._rows(name, str(request.get("list_by", DEFAULT_KEY)), data["content"]),
            }
        )

    @staticmethod
    def _rows(name: str, key: str, content: list[dict[str, Any]]) -> str:
        head = key.replace("_", " ").capitalize()
        if name == "replication":
            rows = [
                [html.escape(str(row["key"])), f"{row['mean']:.2f}", f"{row['rms']:.2f}"] for row in content
            ]
            return table([head, "Mean replicas", "Spread"], rows)
        if name == "usage":
            head = f"Site: {head.lower()}"
            content = [
                {"key": f"{row['site']}: {part['key']}", "size": part["size"]}
                for row in content
                for part in row["usage"]
            ]
        largest = max((row["size"] for row in content), default=0.0)
        rows = [
            [html.escape(str(row["key"])), readable_size(row["size"] * TB), bar(row["size"], largest / 0.9)]
            for row in content
        ]
        return table([head, "Size", ""], rows)


def _choices(statistic: str, request: dict[str, Any]) -> str:
    """Links to the other statistics, and to the same one by something else, with the constraints as they are."""
    by = str(request.get("list_by", DEFAULT_KEY))
    kinds = " · ".join(_link(name, name == statistic, request, statistic=name) for name in _STATISTICS)
    keys = " · ".join(
        _link(key.replace("_", " "), key == by, request, statistic=statistic, list_by=key) for key in KEYS
    )
    return f"<p>{kinds}<br>by {keys}</p>"


def _link(text: str, is_here: bool, request: dict[str, Any], **values: str) -> str:
    if is_here:
        return f"<b>{html.escape(text)}</b>"
    query = html.escape(urlencode({**_unescaped(request), **values}, doseq=True))
    return f'<a href="/web/inventory/stats?{query}">{html.escape(text)}</a>'


def _unescaped(request: dict[str, Any]) -> dict[str, Any]:
    """The parameters as they were sent: modules get them with the letters of HTML replaced."""
    return {
        name: [html.unescape(text) for text in value]
        if isinstance(value, list)
        else html.unescape(str(value))
        for name, value in request.items()
    }
