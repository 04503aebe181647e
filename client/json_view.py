"""What `zos --json` shows."""

from __future__ import annotations

import json
from typing import Any

from client.events import Event
from client.placed import NodeSummary, Placed
from gridtypes import Workload


def print_event(event: Event) -> None:
    fields = {name: value for name in event.__slots__ if (value := getattr(event, name))}
    print(json.dumps(fields), flush=True)


def placed(shown: Placed) -> dict[str, Any]:
    deployment = shown.deployment
    return {
        "name": shown.name,
        "node": shown.node,
        "contract": shown.contract,
        "state": shown.state,
        "problem": shown.problem,
        "version": deployment.version if deployment else None,
        "workloads": [workload(one) for one in deployment.workloads] if deployment else [],
    }


def workload(shown: Workload) -> dict[str, Any]:
    """Without the data: they may hold secrets of the user."""
    result = shown.result
    return {
        "name": shown.name,
        "type": shown.type.value,
        "version": shown.version,
        "state": result.state.value or "init",
        "message": result.message,
        "created": result.created,
        "result": _result_json(result.data),
    }


def _result_json(data: bytes) -> Any:
    """A node's result data; None when it is no JSON that can be read."""
    try:
        return json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None


def node(summary: NodeSummary) -> dict[str, Any]:
    found = summary.node
    return {
        "id": found.id,
        "twin": found.twin_id,
        "farm": found.farm_id,
        "up": summary.is_up,
        "version": summary.version,
        "features": list(summary.features),
        "country": found.location.country,
        "cru": found.resources.cru,
        "mru": found.resources.mru,
        "sru": found.resources.sru,
        "hru": found.resources.hru,
    }
