"""The servers of the fleet."""

from __future__ import annotations

import html
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import status_word, table
from dynamo.web.request import Caller


class Current(WebModule):
    """`current`: all servers by name."""

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.require_appmanager = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        return self.appmanager.servers


class ServersPage(WebModule, HTMLMixin):
    """The same as a page."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo servers")
        self.require_appmanager = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        rows = [
            [
                html.escape(row["name"]),
                "primary" if row["primary"] else "secondary",
                status_word(str(row["status"])),
                f"{row['silent']} s ago",
                str(row["applied"]),
                str(row["behind"]),
                html.escape(row["store"]),
            ]
            for row in self.appmanager.servers
        ]
        self.body_html = "{TABLE}\n"
        heads = ["Server", "Role", "Status", "Heard of", "Last batch", "Batches behind", "Store"]
        return self.form_html({"TABLE": table(heads, rows)})


export_data = {"current": Current}
export_web = {"": ServersPage}
