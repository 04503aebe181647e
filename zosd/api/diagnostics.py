"""`zos.system.diagnostics`: which parts of the node answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import rmb
from zosd.api.perf import Results
from zosd.api.table import Handler
from zosd.clock import Clock
from zosd.version import running

LIMIT = 3.0
"""Seconds that a part has to answer."""
HEALTHCHECK = "healthcheck"
"""Name of the measurement whose result tells whether the node is healthy."""

Probe = Callable[[], Awaitable[object]]


class Diagnostics:
    def __init__(self, probes: Mapping[str, Probe], results: Results, clock: Clock) -> None:
        """`probes` by the name of the part, as clients know it from the Go node: one that raises is not well."""
        self._probes = probes
        self._results = results
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"system.diagnostics": self.diagnostics}

    async def diagnostics(self, request: rmb.Request) -> dict[str, Any]:
        problems = dict(
            zip(self._probes, await asyncio.gather(*map(_problem, self._probes.values())), strict=True)
        )
        return {
            "system_status_ok": not any(problems.values()),
            "modules": {name: self._module(name, problem) for name, problem in problems.items()},
            "healthy": healthy(self._results.get(HEALTHCHECK)),
        }

    def _module(self, name: str, problem: str) -> dict[str, Any]:
        """Without `error`, which a client in Go cannot decode; the text stands beside it."""
        if problem:
            return {"status": {"objects": None, "workers": None}, "error_text": problem}
        now = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "status": {
                "objects": [{"Name": name, "Version": running()}],
                "workers": [{"state": "free", "time": now}],
            }
        }


def healthy(result: Mapping[str, Any] | None) -> bool:
    """Whether a health check was made and found nothing."""
    checks = result.get("result") if result else None
    return isinstance(checks, dict) and not any(checks.values())


async def _problem(probe: Probe) -> str:
    try:
        async with asyncio.timeout(LIMIT):
            await probe()
    except TimeoutError:
        return f"no answer within {LIMIT:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:500]
    return ""
