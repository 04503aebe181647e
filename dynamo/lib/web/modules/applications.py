"""The queue of applications."""

from __future__ import annotations

import html
import time
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import table
from dynamo.web.request import Caller


class Current(WebModule):
    """`current`: the newest applications, newest first."""

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.require_appmanager = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        shown = ("appid", "title", "status", "auth_level", "user_name", "server", "exit_code", "timestamp")
        return [{name: app[name] for name in shown} for app in self.appmanager.applications]


class QueuePage(WebModule, HTMLMixin):
    """The same as a page."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo applications")
        self.require_appmanager = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        rows = [
            [
                str(app["appid"]),
                html.escape(app["title"]),
                str(app["status"]),
                str(app["auth_level"]),
                html.escape(app["user_name"]),
                html.escape(app["server"]),
                "" if app["exit_code"] is None else str(app["exit_code"]),
                time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(app["timestamp"])),
            ]
            for app in self.appmanager.applications
        ]
        hint = "<p>Look closer with <code>dynamo -p ID</code>, end one with <code>dynamo -x ID</code>.</p>"
        self.body_html = f"{{TABLE}}\n{hint}\n"
        heads = ["Id", "Title", "Status", "Level", "User", "Server", "Exit code", "Since (UTC)"]
        return self.form_html({"TABLE": table(heads, rows)})


export_data = {"current": Current}
export_web = {"": QueuePage}
