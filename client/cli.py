"""The `zos` command."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from client import (
    chain_cli,
    deployment_file,
    deployment_schema,
    json_view,
    node_cli,
    preview_view,
    view,
    wireguard_access,
)
from client.errors import ClientError
from client.events import Event
from client.grid_client import GridClient
from client.machine_console import attach
from client.options import JsonOption, ProfileOption
from client.placed import Placed
from client.running import on_grid
from client.terminal import fail, keep_libraries_quiet, one_line, print_json
from gridtypes import Workload

T = TypeVar("T")

app = typer.Typer(
    help="Rent machines, disks and networks on a grid that nobody owns.",
    no_args_is_help=True,
    add_completion=True,
)
app.add_typer(chain_cli.app, name="chain")
app.add_typer(node_cli.app, name="node")

FileArgument = Annotated[Path, typer.Argument(help="Deployment file, YAML or JSON.", exists=False)]
NameArgument = Annotated[str, typer.Argument(help="Name of the deployment, or number of a contract.")]
AnyNodeOption = Annotated[
    bool, typer.Option("--any-node", help="Whatever nodes FILE names: take those that have room.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait for all results.")]


@app.command()
def nodes(profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List the nodes of the grid, and which of them answer."""
    found = on_grid(profile_name, lambda grid: grid.nodes())
    if as_json:
        print_json([json_view.node(each) for each in found])
    else:
        view.show_nodes(found)


@app.command()
def deploy(
    file: FileArgument,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 600,
    any_node: AnyNodeOption = False,
) -> None:
    """Check, pay for and deploy what FILE describes; undone when it fails."""
    wanted = _load(file)
    if any_node:
        wanted = wanted.on_any_node()
    found = _follow(profile_name, as_json, lambda grid, report: grid.deploy(wanted, report, timeout=timeout))
    _show(found, as_json, events=True)


@app.command()
def plan(
    file: FileArgument,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    any_node: AnyNodeOption = False,
) -> None:
    """Show what deploying or updating FILE would change and cost by the month; nothing is signed or paid."""
    wanted = _load(file)
    if any_node:
        wanted = wanted.on_any_node()
    found = on_grid(profile_name, lambda grid: grid.preview(wanted))
    preview_view.show(found, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of deployment files, for editors."""
    print(deployment_schema.text(), end="")


@app.command()
def update(
    file: FileArgument,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 600,
) -> None:
    """Bring the deployment that FILE names to what FILE says; put back when it fails."""
    wanted = _load(file)
    found = _follow(profile_name, as_json, lambda grid, report: grid.update(wanted, report, timeout=timeout))
    _show(found, as_json, events=True)


@app.command(name="ls")
def list_deployments(profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List your deployments."""
    found = on_grid(profile_name, lambda grid: grid.ls())
    if as_json:
        print_json([json_view.placed(each) for each in found])
    else:
        view.show_placed(found, workloads=False)


@app.command()
def get(name: NameArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show a deployment with the results of its workloads."""
    _show(on_grid(profile_name, lambda grid: grid.find(name)), as_json, events=False)


@app.command()
def changes(
    name: NameArgument,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show every result that a deployment's workloads ever had, oldest first."""

    def show(placed: Placed, one: Workload) -> None:
        if as_json:
            print(json.dumps({"contract": placed.contract, **json_view.workload(one)}), flush=True)
        else:
            view.show_change(placed, one)

    if follow:
        on_grid(profile_name, lambda grid: grid.follow_changes(name, show))
        return
    found = on_grid(profile_name, lambda grid: grid.changes(name))
    if as_json:
        print_json([{"contract": placed.contract, **json_view.workload(one)} for placed, one in found])
        return
    for placed, one in found:
        view.show_change(placed, one)


@app.command()
def wg(
    name: NameArgument,
    network: Annotated[str, typer.Argument(help="Network; may be left out when there is one.")] = "",
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not ask the nodes' endpoints for an answer first.")
    ] = False,
) -> None:
    """Print the WireGuard configuration for your own machine.  It holds a secret key."""
    found = on_grid(
        profile_name, lambda grid: wireguard_access.access(grid, name, network, check=not unchecked)
    )
    text = wireguard_access.configuration(found)
    if as_json:
        print_json({"configuration": text, "addresses": found.addresses, "ip_range": found.ip_range})
    else:
        print(text, end="")


@app.command()
def cancel(name: NameArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Cancel a deployment's contracts; its nodes remove everything, data too."""
    gone = on_grid(profile_name, lambda grid: grid.cancel(name))
    if as_json:
        print_json({"cancelled": gone})
    else:
        view.out.print(f"cancelled {', '.join(f'contract {each}' for each in gone)}", soft_wrap=True)


@app.command()
def console(
    name: NameArgument,
    machine: Annotated[str, typer.Argument(help="Name of the machine.")],
    profile_name: ProfileOption = None,
    run: Annotated[str, typer.Option("--run", help="Type one line, print what it shows, and leave.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Open a machine's serial console; Ctrl-] leaves it."""
    shown = on_grid(profile_name, lambda grid: attach(grid, name, machine, run))
    if as_json:
        print_json({"output": shown})
    elif shown:
        print(shown)


def main() -> None:
    """Console script."""
    keep_libraries_quiet()
    add_plugins(app)
    app()


def add_plugins(to: typer.Typer) -> None:
    """Add the commands that other packages offer under the entry points `zos.plugins`.

    One that cannot be loaded is named on standard error; the others work.
    """
    for point in entry_points(group="zos.plugins"):
        try:
            to.add_typer(point.load(), name=point.name)
        except Exception as problem:
            print(f"zos: plug-in {point.name} cannot be loaded: {one_line(problem)}", file=sys.stderr)


# -- running -------------------------------------------------------------------------------------------------------


def _follow(
    profile_name: str | None,
    as_json: bool,
    work: Callable[[GridClient, Callable[[Event], None]], Awaitable[T]],
) -> T:
    if as_json:
        return on_grid(profile_name, lambda grid: work(grid, json_view.print_event))
    with view.LiveView() as live:
        return on_grid(profile_name, lambda grid: work(grid, live.report))


def _load(file: Path) -> deployment_file.DeploymentFile:
    try:
        return deployment_file.load(file)
    except ClientError as problem:
        fail(problem, 2)


def _show(found: list[Placed], as_json: bool, *, events: bool) -> None:
    if not as_json:
        view.show_placed(found, workloads=True)
    elif events:
        print(json.dumps({"deployed": [json_view.placed(each) for each in found]}), flush=True)
    else:
        print_json([json_view.placed(each) for each in found])


if __name__ == "__main__":
    main()
