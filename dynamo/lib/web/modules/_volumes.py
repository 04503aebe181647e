"""Volumes of file operations over time, which transfers and deletions show alike."""

from __future__ import annotations

import html
import time
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.access import Registry
from dynamo.dataformat import Configuration
from dynamo.dataformat.sizes import readable_size
from dynamo.dataformat.times import spaced_time
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import number_of
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import bar, table
from dynamo.web.request import Caller

HOUR_S = 3600
MAX_HOURS = 24 * 366
GB = 1e9


def _hours(request: dict[str, Any]) -> int:
    hours = number_of(request, "hours", 24) or 0
    if not 0 < hours <= MAX_HOURS:
        raise IllFormedRequest("hours", hours, hint=f"give 1 to {MAX_HOURS} hours")
    return hours


def _steps(registry: Registry, is_deletion: bool, hours: int) -> tuple[int, list[dict[str, Any]]]:
    step = max(HOUR_S, HOUR_S * hours // 48)
    since = int(time.time()) - hours * HOUR_S
    return step, registry.ask("files.volumes", is_deletion=is_deletion, since=since, step=step)


class History(WebModule):
    """`history`: volume by site over the last `hours`; the first element describes all of it."""

    is_deletion = False
    title = "Dynamo Transfers (volume)"
    label = "Transferred Volume [GB]"

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        hours = _hours(request)
        step, rows = _steps(self.registry, self.is_deletion, hours)
        by_time: dict[int, float] = {}
        for row in rows:
            by_time[row["time"]] = by_time.get(row["time"], 0.0) + row["size"] / GB
        begin = (int(time.time()) - hours * HOUR_S) // step * step + step
        spans = [by_time.get(moment, 0.0) for moment in range(begin, int(time.time()) + 1, step)] or [0.0]
        head = {
            "title": self.title,
            "subtitle": f"{hours} hours until {spaced_time(int(time.time()))}",
            "timing_string": f"{step} s",
            "summary_string": f"Min: {min(spans):.3f} GB, Max: {max(spans):.3f} GB, "
            f"Avg: {sum(spans) / len(spans):.3f} GB, Last: {spans[-1]:.3f} GB",
            "yaxis_label": self.label,
        }
        sites: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            point = {"date": spaced_time(row["time"]), "size": row["size"] / GB, "files": row["files"]}
            sites.setdefault(row["site"], []).append(point)
        return [head, *({"name": site, "data": points} for site, points in sorted(sites.items()))]


class Activity(WebModule, HTMLMixin):
    """The same as a page."""

    is_deletion = False
    page_title = "Dynamo transfers"

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, self.page_title)

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        _, rows = _steps(self.registry, self.is_deletion, _hours(request))
        largest = max((row["size"] for row in rows), default=0)
        cells = [
            [
                spaced_time(row["time"]),
                html.escape(row["site"]),
                str(row["files"]),
                readable_size(row["size"]),
                bar(row["size"], largest / 0.9),
            ]
            for row in rows
        ]
        self.body_html = "{TABLE}\n"
        return self.form_html({"TABLE": table(["From", "Site", "Files", "Volume", ""], cells)})
