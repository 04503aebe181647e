"""From a request to an answer."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.access import Registry
from dynamo.dataformat import Configuration, DynamoError
from dynamo.web.exceptions import WebError
from dynamo.web.fleet_now import FleetNow
from dynamo.web.loader import Loader
from dynamo.web.request import Caller, Unreadable, read_parameters

LOG = logging.getLogger(__name__)

JSON = "application/json"
LINES = "application/x-ndjson"
"""One JSON value a line."""
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,63}")


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What came over HTTP.  `authenticated` means over TLS, by a known user."""

    mode: str
    module: str
    command: str
    method: str
    query: str
    body: bytes
    content_type: str | None
    caller: Caller
    authenticated: bool


@dataclass(slots=True)
class Answer:
    """What goes back.  `keep_changes` says that the module may change the inventory and ended well."""

    status: int
    content_type: str
    body: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    keep_changes: bool = False


def envelope(status: int, message: str, data: Any = None, callback: Any = None) -> Answer:
    """An answer in JSON: the status in words, a message, and data unless it is None."""
    value = {"result": HTTPStatus(status).phrase, "message": message}
    if data is not None:
        value["data"] = data
    text = json.dumps(value)
    if callback is None:
        return Answer(status, JSON, text + "\n")
    if not isinstance(callback, str) or not _CALLBACK.fullmatch(callback):
        return envelope(400, "Parameter callback is no name of a function.")
    return Answer(status, "application/javascript", f"{callback}({text})\n")


def items_of(data: Any) -> list[Any]:
    """What a list of lines holds: the items of a list, or of the one list that an object has; else the data itself."""
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        if len(data) == len(lists) == 1:
            return list(lists[0])
    if isinstance(data, list):
        return data
    return [] if data is None else [data]


def path_parts(path: str) -> tuple[str, str, str]:
    """Mode, module and command of a path; what is missing is empty."""
    mode, _, rest = path.strip("/").partition("/")
    module, _, command = rest.partition("/")
    return mode, module, command.rstrip("/")


def respond(
    request: WebRequest,
    loader: Loader,
    config: Configuration,
    inventory: ObjectRepository,
    registry: Registry | None = None,
    authorizer: Any = None,
    take_write_slot: Callable[[], bool] = lambda: True,
    now: FleetNow | None = None,
) -> Answer:
    """Find the module of a request and run it."""
    found = loader.find(
        "data" if request.mode == "phedexdata" else request.mode, request.module, request.command
    )
    if found is None:
        return envelope(404, f"Invalid request {request.module}/{request.command}.")
    try:
        parameters = read_parameters(request.method, request.query, request.body, request.content_type)
    except Unreadable as error:
        return envelope(400, str(error))
    callback = parameters.values.get("callback")
    try:
        module = found(config)
        if module.must_authenticate and not request.authenticated:
            return envelope(400, "Resource only available with HTTPS.")
        if module.write_enabled and not take_write_slot():
            return envelope(
                503,
                f"Server cannot execute {request.module}/{request.command} at the moment because the inventory "
                "is being updated.",
            )
        if module.require_authorizer:
            module.authorizer = authorizer
        if module.require_appmanager:
            module.appmanager = now or FleetNow()
        module.registry = registry or Registry()
        module.method = request.method
        module.input_data = parameters.input_data
        in_lines = module.content_type == JSON and parameters.values.get("stream") == "1"
        if in_lines:
            del parameters.values["stream"]
        data = module.run(request.caller, parameters.values, inventory)
        headers = [(str(name), str(value)) for name, value in module.additional_headers]
        if in_lines:
            answer = Answer(200, LINES, "".join(f"{json.dumps(item)}\n" for item in items_of(data)))
        elif module.content_type == JSON:
            answer = envelope(200, module.message, data, callback)
        else:
            answer = Answer(200, module.content_type, str(data) if str(data).endswith("\n") else f"{data}\n")
        answer.headers = headers
        answer.keep_changes = bool(module.write_enabled)
        return answer
    except WebError as error:
        return envelope(error.status, error.text)
    except DynamoError as error:
        return envelope(400, f"{error}.\n")
    except Exception:
        number = secrets.token_hex(6)
        LOG.exception("Error %s in %s/%s", number, request.module, request.command)
        return envelope(500, f"Internal server error {number}; the log of the server has the details.")
