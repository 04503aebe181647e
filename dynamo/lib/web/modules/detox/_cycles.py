"""Cycles of the policy of deletion, as data."""

from __future__ import annotations

import json
from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.dataformat.times import spaced_time
from dynamo.web.exceptions import InvalidRequest, MissingParameter
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import number_of
from dynamo.web.modules._filedownload import FileDownloadMixin
from dynamo.web.request import Caller

Row = dict[str, Any]
DECISIONS = ("delete", "keep", "protect")


class CycleModule(WebModule):
    """Something about the cycles of a partition: `partition`, and `cycle` for one that is not the newest."""

    is_test = False

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        section = config.get("detox", None)
        self.default_partition = None if section is None else section.get("default_partition", None)
        self.monitored = [] if section is None else list(section.get("monitored_partitions", []))

    def partition(self, request: Row) -> str:
        """The partition that is asked for, by default the configured one, or the first that has cycles.

        Raises InvalidRequest when it has none.
        """
        known = self.registry.ask("cycles.partitions", is_test=self.is_test)
        name = request.get("partition") or self.default_partition or next(iter(known), None)
        if name is None:
            raise InvalidRequest("There was no cycle yet")
        if name not in known:
            raise InvalidRequest(f"Unknown partition {name}")
        return str(name)

    def cycles(self, request: Row) -> list[Row]:
        """Cycles of the partition, newest first."""
        found: list[Row] = self.registry.ask(
            "cycles.listed", operation="detox", partition=self.partition(request), is_test=self.is_test
        )
        return found

    def cycle(self, request: Row) -> Row:
        """The cycle that is asked for.  Raises InvalidRequest for an unknown one."""
        found = self.cycles(request)
        number = number_of(request, "cycle")
        for row in found:
            if number in (None, row["cycle"]):
                return row
        raise InvalidRequest(f"Unknown cycle {number}")

    def summary(self, request: Row) -> Row:
        """A cycle with bytes and datasets by site and decision."""
        cycle = self.cycle(request)
        totals: dict[str, Row] = {}
        for row in self.registry.ask("cycles.totals", cycle=cycle["cycle"]):
            totals.setdefault(row["site"], {})[row["decision"]] = row
        sites = []
        for site in cycle["sites"]:
            by_decision = totals.get(site["site"], {})
            sizes = {name: by_decision.get(name, {}).get("size", 0) for name in DECISIONS}
            counts = {name: by_decision.get(name, {}).get("datasets", 0) for name in DECISIONS}
            sites.append({**site, "sizes": sizes, "datasets": counts})
        return {**shown(cycle), "sites": sites}


def shown(cycle: Row) -> Row:
    """A cycle without its sites, with the time in words."""
    found = {name: value for name, value in cycle.items() if name not in ("sites", "started")}
    return {**found, "timestamp": spaced_time(cycle["started"])}


class Partitions(CycleModule):
    """`partitions`: those that have cycles."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        known = self.registry.ask("cycles.partitions", is_test=self.is_test)
        return [{"name": name, "monitored": name in self.monitored} for name in known]


class CycleList(CycleModule):
    """`cycles`: of `partition`, newest first."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        return [shown(cycle) for cycle in self.cycles(request)]


class Summary(CycleModule):
    """`summary`: bytes that were deleted, kept and protected, by site."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        return self.summary(request)


class SiteDetail(CycleModule):
    """`sitedetail`: decisions at `site`, `limit` at a time, from behind the decision `after`."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        if "site" not in request:
            raise MissingParameter("site")
        cycle = self.cycle(request)
        rows = self.registry.ask(
            "cycles.decisions",
            cycle=cycle["cycle"],
            site=str(request["site"]),
            after=number_of(request, "after", 0),
            limit=number_of(request, "limit", 1000),
        )
        return {**shown(cycle), "name": request["site"], "datasets": rows}


class Datasets(CycleModule):
    """`datasets`: decisions about `dataset` at every site."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        if "dataset" not in request:
            raise MissingParameter("dataset")
        wanted = request["dataset"] if isinstance(request["dataset"], list) else [request["dataset"]]
        rows = self.registry.ask("cycles.decisions", cycle=self.cycle(request)["cycle"], limit=100_000)
        return [row for row in rows if row["dataset"] in wanted]


class Dump(CycleModule, FileDownloadMixin):
    """`dump`: all decisions of a cycle as a file."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        cycle = self.cycle(request)
        rows = self.registry.ask("cycles.decisions", cycle=cycle["cycle"], limit=100_000)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        return self.export_content(lines, f"detox_{cycle['cycle']}.jsonl", "application/x-ndjson")


class Policy(CycleModule):
    """`policy`: the text of the policy of a cycle."""

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        self.content_type = "text/plain"
        return self.registry.ask("cycles.policy", digest=self.cycle(request)["policy"]) or ""


COMMANDS: dict[str, type[CycleModule]] = {
    "partitions": Partitions,
    "cycles": CycleList,
    "summary": Summary,
    "sitedetail": SiteDetail,
    "datasets": Datasets,
    "dump": Dump,
    "policy": Policy,
}
TEST_COMMANDS: dict[str, type[CycleModule]] = {
    name: type(f"Test{command.__name__}", (command,), {"is_test": True, "__doc__": command.__doc__})
    for name, command in COMMANDS.items()
}
"""The same for cycles that only tried a policy out."""
