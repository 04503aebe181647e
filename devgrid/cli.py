"""`zos grid`: bring a development grid up, look at it, take it down.  Found by `zos` through an entry point."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from devgrid import startup
from devgrid.bootstrap import cache_folder
from devgrid.launcher import Grid, GridError
from devgrid.layout import DEFAULT_STATE, GridLayout
from devgrid.profile import remove_profile, write_profile
from images.debian import ImageError
from images.node.build import build
from images.testnode.accelerator import choose

app = typer.Typer(help="A whole grid on this machine, for development and tests.", no_args_is_help=True)

StateOption = Annotated[
    Path, typer.Option("--state", help="Folder that keeps the grids' disks, chains and keys.")
]
NameOption = Annotated[str, typer.Option("--name", help="Name of the grid, and of the profile for `zos`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, or one line per event.")]

out = Console()
err = Console(stderr=True)


def default_state(null: bool = False) -> Path:
    """`/var/lib/zos-grid`, or a folder of the user's own for a grid without root."""
    return DEFAULT_STATE if not null else Path.home() / ".local/share/zos-grid"


@app.command()
def up(
    nodes: Annotated[int, typer.Option("--nodes", min=0, help="Number of nodes in namespaces.")] = 2,
    qemu: Annotated[
        int,
        typer.Option("--qemu", min=0, help="Further nodes that are virtual machines, booted from the image."),
    ] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the grid is up; it goes on.")] = False,
    null: Annotated[
        bool,
        typer.Option(
            "--null", help="Without root: nothing is really made. For writing clients, not for trust."
        ),
    ] = False,
    exposed: Annotated[
        bool,
        typer.Option(
            "--expose", help="Lead ports 80, 443 and 9944 of 127.0.0.1 into the grid while it is up."
        ),
    ] = False,
    name: NameOption = "dev",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Bring a grid up and, without --detach, keep it until Ctrl-C."""
    if null and state == DEFAULT_STATE:
        state = default_state(null)
    try:
        grid = Grid(GridLayout(state, name, nodes, null, qemu))
    except ValueError as problem:
        _fail(str(problem), 2)
    if qemu:
        _build_image()
    try:
        bring_up(grid, detach=detach, exposed=exposed, as_json=as_json)
        status = grid.status()
    except GridError as problem:
        _fail(str(problem))
    except KeyboardInterrupt:
        grid.down()
        _fail("interrupted; the grid is down")
    if as_json:
        print(json.dumps({"up": True, **status}), flush=True)
    else:
        show_status(status)
    if detach:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if not as_json:
        err.print("\nCtrl-C takes the grid down; its disks, chain and keys stay in", str(grid.layout.folder))
    try:
        grid.wait()
        _fail(f"the supervisor ended; log: {grid.layout.logs / 'supervisor.log'}")
    except KeyboardInterrupt:
        take_down(grid)


@app.command()
def status(name: NameOption = "dev", state: StateOption = DEFAULT_STATE, as_json: JsonOption = False) -> None:
    """Show nodes, twins and parts."""
    try:
        answer = _known(state, name).status()
    except GridError as problem:
        _fail(str(problem))
    if as_json:
        print(json.dumps(answer))
    else:
        show_status(answer)


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove disks, chain and keys too.")] = False,
    name: NameOption = "dev",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Take the grid down.  Safe to repeat."""
    try:
        grid = _known(state, name)
    except GridError as problem:
        if purge:
            return
        _fail(str(problem))
    take_down(grid, purge=purge)
    if as_json:
        print(json.dumps({"down": True, "purged": purge}))


def bring_up(grid: Grid, *, detach: bool, exposed: bool = False, as_json: bool = False) -> None:
    """Bring a grid up with a progress bar and write the profile for `zos`.  Raises GridError."""
    if as_json:
        grid.up(
            lambda event: print(json.dumps({"step": event.step, "state": event.state}), flush=True),
            detach=detach,
            expose_ports=exposed,
        )
    else:
        with _bar() as bar:
            task = bar.add_task("grid", total=None)
            view = _StartView(bar, task)
            grid.up(view.note, detach=detach, expose_ports=exposed)
    write_profile(grid)


def take_down(grid: Grid, *, purge: bool = False) -> None:
    """Take a grid down and remove its profile."""
    with err.status("taking the grid down"):
        if purge:
            grid.purge()
        else:
            grid.down()
    remove_profile(grid)


def show_status(answer: dict[str, Any]) -> None:
    """Two tables: the nodes, and the parts that are not just running."""
    title = f"grid {answer['name']}" + (" — null: nothing is really made" if answer["null"] else "")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("node", "id", "twin", "state", "address", "disks"):
        table.add_column(column)
    for node in answer["nodes"]:
        table.add_row(
            node["name"],
            str(node.get("id") or "–"),
            str(node.get("twin") or "–"),
            node["state"],
            node.get("address") or "–",
            node.get("disks", ""),
        )
    out.print(table)
    twins = "  ".join(f"{who} {twin}" for who, twin in answer["twins"].items())
    out.print(f"twins  {twins}   chain  {answer['chain']}")
    if front := answer.get("front"):
        out.print(
            f"front  {front['proxy']}  {front['graphql']}  {front['relay']}  CA  {front['ca']}",
            soft_wrap=True,
        )
        if front["hosts"]:
            out.print(f"for /etc/hosts:  {front['hosts']}", soft_wrap=True)
    troubled = [part for part in answer["parts"] if part["state"] != "running" or part["restarts"]]
    for part in troubled:
        last = f", last exit {part['last_exit']}" if part["last_exit"] is not None else ""
        out.print(
            f"{part['name']}: {part['state']}, started anew {part['restarts']} times{last}; log {part['log']}"
        )


class _StartView:
    """Turns steps into a bar and one line for each that is done."""

    def __init__(self, bar: Progress, task: Any) -> None:
        self._bar = bar
        self._task = task
        self._seen: dict[str, str] = {}

    def note(self, event: startup.Progress) -> None:
        self._seen[event.step] = event.state
        done = sum(state == "ready" for state in self._seen.values())
        busy = ", ".join(step for step, state in self._seen.items() if state == "starting")
        self._bar.update(self._task, total=len(self._seen), completed=done, description=busy[:60] or "grid")
        if event.state == "ready":
            self._bar.console.print(
                f"  [green]✓[/] {event.step} [dim]{event.seconds:.1f} s[/]", highlight=False
            )
        elif event.state == "failed":
            self._bar.console.print(f"  [red]✗[/] {event.step}", highlight=False)


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=err,
        transient=True,
    )


def _known(state: Path, name: str) -> Grid:
    """The grid by name, in the given folder or in that of grids without root."""
    if state == DEFAULT_STATE and not (state / name / "grid.json").exists():
        own = default_state(null=True)
        if (own / name / "grid.json").exists():
            return Grid.known(own, name)
    return Grid.known(state, name)


def _build_image() -> None:
    """The machines' image, made when it is not there yet: before the grid starts, so that its steps stay quick."""
    try:
        build(cache_folder(), lambda text: err.print(text, highlight=False))
        choose(cache_folder())
    except (ImageError, OSError) as problem:
        _fail(str(problem))


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(reason: str, code: int = 1) -> NoReturn:
    print(f"zos grid: {reason}", file=sys.stderr)
    raise typer.Exit(code)
