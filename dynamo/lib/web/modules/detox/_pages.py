"""The pages of Detox: cycles, sites, and every decision with its reason."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlencode

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.dataformat.sizes import readable_size
from dynamo.web.modules._common import number_of
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.modules._table import stacked_bar, table
from dynamo.web.modules.detox._cycles import DECISIONS, CycleModule
from dynamo.web.request import Caller

Row = dict[str, Any]
PAGE = 200
"""Decisions on one page."""


class DetoxPage(CycleModule, HTMLMixin):
    """Sites of a cycle with what was deleted, kept and protected; decisions at `site` below."""

    path = "/web/detox"

    def __init__(self, config: Configuration) -> None:
        CycleModule.__init__(self, config)
        HTMLMixin.__init__(self, "Dynamo Detox" + (" (tests)" if self.is_test else ""))

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        self.body_html = "{CHOICES}\n{SITES}\n{DECISIONS}\n"
        known = self.registry.ask("cycles.partitions", is_test=self.is_test)
        if not known or (
            self.default_partition and "partition" not in request and self.default_partition not in known
        ):
            none = (
                '<p class="none">There was no cycle yet. Run one: '
                '<code>dynamo -W -t detox "detox.py -p POLICY"</code></p>'
            )
            return self.form_html({"CHOICES": none, "SITES": "", "DECISIONS": ""})
        summary = self.summary(request)
        return self.form_html(
            {
                "CHOICES": self._choices(known, request, summary),
                "SITES": self._sites(summary),
                "DECISIONS": self._decisions(summary, request),
            }
        )

    def _link(self, text: str, **values: Any) -> str:
        return f'<a href="{self.path}?{html.escape(urlencode(values))}">{html.escape(text)}</a>'

    def _choices(self, known: list[str], request: Row, summary: Row) -> str:
        partitions = " ".join(
            f"<b>{html.escape(name)}</b>"
            if name == summary["partition"]
            else self._link(name, partition=name)
            for name in known
        )
        cycles = " ".join(
            f"<b>{row['cycle']}</b>"
            if row["cycle"] == summary["cycle"]
            else self._link(str(row["cycle"]), partition=row["partition"], cycle=row["cycle"])
            for row in self.cycles(request)[:20]
        )
        comment = f" — {html.escape(summary['comment'])}" if summary["comment"] else ""
        return f"<p>Partition {partitions} · cycle {cycles} · {summary['timestamp']}{comment}</p>"

    def _sites(self, summary: Row) -> str:
        rows = []
        for site in summary["sites"]:
            sizes = [site["sizes"][name] for name in DECISIONS]
            link = self._link(
                site["site"], partition=summary["partition"], cycle=summary["cycle"], site=site["site"]
            )
            quota = _quota(site["quota"])
            numbers = [readable_size(size) for size in sizes]
            rows.append([link, quota, readable_size(site["before"]), *numbers, stacked_bar(sizes, DECISIONS)])
        return table(["Site", "Quota", "Before", "Deleted", "Kept", "Protected", ""], rows)

    def _decisions(self, summary: Row, request: Row) -> str:
        if "site" not in request:
            return "<p>Choose a site to see every decision with its reason.</p>"
        after = number_of(request, "after", 0)
        rows = self.registry.ask(
            "cycles.decisions", cycle=summary["cycle"], site=str(request["site"]), after=after, limit=PAGE + 1
        )
        cells = []
        for row in rows[:PAGE]:
            values = ", ".join(f"{name} = {value}" for name, value in row["values"].items())
            line = f"line {row['rule']}: " if row["rule"] else "default: "
            cells.append(
                [
                    f'<span class="{row["decision"]}">{row["decision"]}</span>',
                    html.escape(row["dataset"]),
                    html.escape(", ".join(row["blocks"])),
                    readable_size(row["size"]),
                    f"{line}<code>{html.escape(row['line'])}</code><br>{html.escape(_readable(values))}",
                ]
            )
        found = f"<h2>{html.escape(str(request['site']))}</h2>"
        found += table(["Decision", "Dataset", "Blocks", "Size", "Because"], cells)
        if len(rows) > PAGE:
            last = rows[PAGE - 1]["id"]
            chosen = {"partition": summary["partition"], "cycle": summary["cycle"], "site": request["site"]}
            found += f"<p>{self._link('More', **chosen, after=last)}</p>"
        return found


def _quota(quota: int) -> str:
    return "unlimited" if quota < 0 else readable_size(quota) if quota else "none"


def _readable(values: str) -> str:
    return values if len(values) <= 500 else values[:500] + "…"


class TestPage(DetoxPage):
    """The same for cycles that only tried a policy out."""

    is_test = True
    path = "/web/detox/test"
