"""Files that are moved, that cannot be, and that were."""

from __future__ import annotations

import html
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.dataformat.sizes import readable_size
from dynamo.dataformat.times import spaced_time
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import fits, listed, number_of
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import table
from dynamo.web.modules._volumes import Activity, History
from dynamo.web.request import Caller

Row = dict[str, Any]
PAGE = 500


class _Files(WebModule):
    def current(self, request: Row) -> list[Row]:
        """Transfers that are open, of files to sites that patterns of `site` choose."""
        rows = self.registry.ask(
            "files.current", after=number_of(request, "after", 0), limit=number_of(request, "limit", 10_000)
        )
        patterns = listed(request, "site")
        return [row for row in rows if not row["is_deletion"] and fits(row["site"], patterns)]


class Current(_Files):
    """`current`: transfers that are open; `site`, `limit`, `after`."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        return [_shown(row) for row in self.current(request)]


def _shown(row: Row) -> Row:
    return {
        "id": row["id"],
        "filename": row["file"],
        "block": row["block"],
        "to": row["site"],
        "size": row["size"],
        "status": row["status"],
        "reason": row["hold_reason"],
        "create": spaced_time(row["created"]),
        "update": spaced_time(row["updated"]),
    }


class HeldSummary(_Files):
    """`held/summary`: files that cannot be moved, by site and reason."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        found: dict[str, Row] = {}
        for row in self.registry.ask("files.counts"):
            if row["status"] == "held" and not row["is_deletion"]:
                site = found.setdefault(row["site"], {"site": row["site"], "total": 0, "size": 0})
                site[row["hold_reason"]] = row["files"]
                site["total"] += row["files"]
                site["size"] += row["size"]
        return list(found.values())


class HeldDetail(_Files):
    """`held/detail`: every file that cannot be moved."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        return [_shown(row) for row in self.current(request) if row["status"] == "held"]


class ListPage(_Files, HTMLMixin):
    """Transfers that are open, as a page."""

    def __init__(self, config: Configuration) -> None:
        _Files.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo transfers")

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        rows = [
            [
                html.escape(row["file"]),
                html.escape(row["site"]),
                readable_size(row["size"]),
                str(row["status"]) + (f" ({row['hold_reason']})" if row["hold_reason"] else ""),
                spaced_time(row["created"]),
            ]
            for row in self.chosen(request)[:PAGE]
        ]
        self.body_html = "{TABLE}\n"
        return self.form_html({"TABLE": table(["File", "To", "Size", "Status", "Since"], rows)})

    def chosen(self, request: Row) -> list[Row]:
        """What the page shows."""
        return self.current(request)


class HeldPage(ListPage):
    """Transfers that cannot be made, as a page."""

    def chosen(self, request: Row) -> list[Row]:
        return [row for row in self.current(request) if row["status"] == "held"]


export_data = {"current": Current, "held/summary": HeldSummary, "held/detail": HeldDetail, "history": History}
export_web = {
    "list": ListPage,
    "current_list": ListPage,
    "held": HeldPage,
    "activity": Activity,
    "history_list": Activity,
}
