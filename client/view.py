"""What `zos` shows on a terminal: tables, and a live view while something is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from client.events import Event
from client.placed import NodeSummary, Placed
from gridtypes import GIB, ResultState, Workload
from gridtypes.results import PublicIPResult, ZMachineResult

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

COLOURS = {
    "ok": "green",
    "error": "red",
    "init": "yellow",
    "unchanged": "yellow",
    "paused": "blue",
    "deleted": "dim",
}


def plain(text: str) -> str:
    """Text of a node or a user, to be shown as it is: no markup, nothing that a terminal would obey."""
    return escape("".join(each if each.isprintable() else " " for each in text))


class LiveView:
    """One line for each workload while a deployment goes on, on standard error."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._rows: dict[tuple[int, str], tuple[str, str]] = {}
        self._live = Live(self._render(), console=err, refresh_per_second=8, transient=not err.is_terminal)

    def report(self, event: Event) -> None:
        if event.kind == "contract":
            self._notes.append(f"contract [bold]{event.contract}[/] on node {event.node}, hash {event.hash}")
        elif event.kind == "accepted":
            self._notes.append(f"node {event.node} accepted contract {event.contract}")
        elif event.kind == "cancelled":
            self._notes.append(f"contract {event.contract} cancelled")
        elif event.kind == "elsewhere":
            self._rows.clear()
            self._notes.append(f"node {event.node} has no room, another one is tried: {plain(event.message)}")
        elif event.kind == "workload":
            self._rows[event.node, event.workload] = (event.state, event.message)
        self._live.update(self._render())

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def _render(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(width=2)
        table.add_column()
        for note in self._notes:
            table.add_row("·", note)
        for (node, name), (state, message) in sorted(self._rows.items()):
            mark = Spinner("dots") if state == "init" else "[green]✓[/]" if state == "ok" else "[red]✗[/]"
            colour = COLOURS.get(state, "white")
            table.add_row(
                mark, f"{plain(name)} on node {node}  [{colour}]{plain(state)}[/]  [dim]{plain(message)}[/]"
            )
        return table


def show_nodes(nodes: Sequence[NodeSummary]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in (
        "node",
        "twin",
        "farm",
        "up",
        "version",
        "cpu",
        "memory",
        "ssd",
        "hdd",
        "country",
        "features",
    ):
        table.add_column(column)
    for summary in nodes:
        node = summary.node
        table.add_row(
            str(node.id), str(node.twin_id), str(node.farm_id),
            "[green]yes[/]" if summary.is_up else "[red]no[/]",
            plain(summary.version) or "–",
            str(node.resources.cru),
            _gib(node.resources.mru), _gib(node.resources.sru), _gib(node.resources.hru),
            plain(node.location.country),
            plain(" ".join(summary.features)),
        )  # fmt: skip
    out.print(table)


def show_placed(found: Sequence[Placed], *, workloads: bool) -> None:
    """Deployments, with their workloads where asked."""
    for placed in found:
        state = "" if placed.state == "Created" else f" [yellow]{plain(placed.state)}[/]"
        out.print(
            f"[bold]{plain(placed.name) or '–'}[/]  contract {placed.contract} on node {placed.node}{state}",
            soft_wrap=True,
        )
        if placed.deployment is None:
            out.print(f"  [red]{plain(placed.problem)}[/]", soft_wrap=True)
        elif workloads:
            out.print(_workloads(placed.deployment.workloads))
        else:
            names = ", ".join(f"{one.name} ({one.result.state.value})" for one in placed.deployment.workloads)
            out.print(f"  {plain(names)}", soft_wrap=True)


def show_change(placed: Placed, workload: Workload) -> None:
    state = workload.result.state.value or "init"
    colour = COLOURS.get(state, "white")
    when = datetime.fromtimestamp(workload.result.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
    out.print(
        f"[dim]{when}[/]  {placed.contract}  {plain(workload.type.value):12} {plain(workload.name):16} "
        f"version {workload.version}  [{colour}]{plain(state)}[/]  [dim]{plain(workload.result.message)}[/]",
        soft_wrap=True,
    )


def _workloads(workloads: Sequence[Workload]) -> Table:
    table = Table(box=None, pad_edge=True)
    for column in ("workload", "type", "state", "result"):
        table.add_column(column, overflow="fold")
    for workload in workloads:
        state = workload.result.state
        colour = COLOURS.get(state.value, "white")
        detail = workload.result.message if state is ResultState.ERROR else _detail(workload)
        table.add_row(
            plain(workload.name),
            plain(workload.type.value),
            f"[{colour}]{plain(state.value) or 'init'}[/]",
            plain(detail),
        )
    return table


def _detail(workload: Workload) -> str:
    try:
        result = workload.load_result()
    except ValueError:
        return workload.result.message  # data of a shape that we do not know
    if isinstance(result, ZMachineResult):
        parts = {"ip": result.ip, "planetary": result.planetary_ip, "console": result.console_url}
        return "  ".join(f"{name} {value}" for name, value in parts.items() if value)
    if isinstance(result, PublicIPResult):
        return "  ".join(text for text in (result.ip, result.ip6) if text)
    return workload.result.message


def _gib(amount: int) -> str:
    return f"{amount / GIB:.0f} GiB"
