"""The queue of applications: what waits, runs and has ended, what it printed, and its end on demand."""

from __future__ import annotations

import html
import time
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.web.exceptions import AuthorizationError, InvalidRequest, MissingParameter
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import number_of
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import status_word, table
from dynamo.web.request import Caller

Row = dict[str, Any]
_UNFINISHED = ("new", "assigned", "run")


def _may_operate(caller: Caller) -> bool:
    return any((role, "application") in caller.authlist for role in ("admin", "operator"))


def _require_operator(caller: Caller) -> None:
    if not _may_operate(caller):
        raise AuthorizationError


class _QueueModule(WebModule):
    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.require_appmanager = True

    def asked_for(self, request: Row) -> Row:
        """The application of `appid`.  Raises MissingParameter, IllFormedRequest, InvalidRequest."""
        number = number_of(request, "appid")
        if number is None:
            raise MissingParameter("appid")
        for app in self.appmanager.applications:
            if app["appid"] == number:
                return dict(app)
        raise InvalidRequest(f"Unknown appid {number}, or not among the newest")

    def printed(self, app: Row) -> Row:
        """The end of both outputs; None for one that is not on this server."""
        stdout, stderr = self.registry.ask("applications.printed", number=app["appid"])
        return {"appid": app["appid"], "server": app["server"], "stdout": stdout, "stderr": stderr}


class Current(_QueueModule):
    """`current`: the newest applications, newest first."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        shown = ("appid", "title", "status", "auth_level", "user_name", "server", "exit_code", "timestamp")
        return [{name: app[name] for name in shown} for app in self.appmanager.applications]


class _ForOperators(_QueueModule):
    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True


class Log(_ForOperators):
    """`log`: the end of what `appid` printed, for users with role admin or operator on application."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        _require_operator(caller)
        return self.printed(self.asked_for(request))


class Kill(_ForOperators):
    """`kill`: end the application `appid` (POST), for users with role admin or operator on application."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        _require_operator(caller)
        if self.method != "POST":
            raise InvalidRequest("Send this with POST")
        app = self.asked_for(request)
        if app["status"] not in _UNFINISHED:
            return {"result": "noaction", "detail": f"Application {app['appid']} is {app['status']} already"}
        self.registry.ask("applications.kill", number=app["appid"], reason=f"User {caller.name} ended it")
        return {"result": "success", "detail": f"Application {app['appid']} will end"}


_KILL = """
document.addEventListener("submit", async event => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(event.target));
  const answer = await fetch(event.target.action, {method: "POST", body});
  const value = await answer.json();
  document.getElementById("said").textContent = value.data ? value.data.detail : value.message;
});
"""


class QueuePage(_QueueModule, HTMLMixin):
    """The same as a page; whoever may operate gets logs and a button that ends an application."""

    def __init__(self, config: Configuration) -> None:
        _QueueModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo applications")
        self.header_script = _KILL

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        operates = _may_operate(caller)
        rows = [
            [
                str(app["appid"]),
                html.escape(app["title"]),
                status_word(str(app["status"])),
                str(app["auth_level"]),
                html.escape(app["user_name"]),
                html.escape(app["server"]),
                "" if app["exit_code"] is None else str(app["exit_code"]),
                time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(app["timestamp"])),
                _actions(app) if operates else "",
            ]
            for app in self.appmanager.applications
        ]
        hint = (
            ""
            if operates
            else "<p>Look closer with <code>dynamo -p ID</code>, end one with <code>dynamo -x ID</code>;"
            " or come over HTTPS with a certificate that may operate applications.</p>"
        )
        self.body_html = '{TABLE}\n{HINT}\n<p id="said"></p>\n{LOG}\n'
        heads = ["Id", "Title", "Status", "Level", "User", "Server", "Exit code", "Submitted (UTC)", ""]
        log = _log_html(self.printed(self.asked_for(request))) if operates and "appid" in request else ""
        return self.form_html(
            {"TABLE": table(heads, rows, "Nothing was submitted yet."), "HINT": hint, "LOG": log}
        )


def _actions(app: Row) -> str:
    number = app["appid"]
    found = f'<a href="/web/applications?appid={number}">log</a>'
    if app["status"] in _UNFINISHED:
        found += (
            f' <form method="post" action="/data/applications/kill"><input type="hidden" name="appid"'
            f' value="{number}"><button>kill</button></form>'
        )
    return found


def _log_html(log: Row) -> str:
    parts = [f"<h2>Application {log['appid']}</h2>"]
    for name in ("stdout", "stderr"):
        text = log[name]
        shown = (
            f"<p>It lies on server {html.escape(log['server'] or '?')}.</p>"
            if text is None
            else f"<pre>{html.escape(text)}</pre>"
        )
        parts.append(f"<h3>{name}</h3>{shown}")
    return "".join(parts)


export_data = {"current": Current, "log": Log, "kill": Kill}
export_web = {"": QueuePage}
