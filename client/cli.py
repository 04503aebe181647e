"""The `zos` command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from client import chain_cli, deployment_file, profile, view
from client.errors import CheckFailed, ClientError
from client.events import Event
from client.grid_client import GridClient
from client.machine_console import attach
from client.namespace import enter
from client.placed import NodeSummary, Placed
from client.terminal import fail, one_line, print_json
from gridtypes import Workload
from rmb import connect
from rmb.errors import RmbError
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.keys import Identity

T = TypeVar("T")

app = typer.Typer(
    help="Rent machines, disks and networks on a grid that nobody owns.",
    no_args_is_help=True,
    add_completion=True,
)
app.add_typer(chain_cli.app, name="chain")

ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Which grid; default ZOS_PROFILE, else `dev`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
FileArgument = Annotated[Path, typer.Argument(help="Deployment file, YAML or JSON.", exists=False)]
NameArgument = Annotated[str, typer.Argument(help="Name of the deployment, or number of a contract.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait for all results.")]


@app.command()
def nodes(profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List the nodes of the grid, and which of them answer."""
    found = _run(profile_name, lambda grid: grid.nodes())
    if as_json:
        print_json([_node_json(each) for each in found])
    else:
        view.show_nodes(found)


@app.command()
def deploy(
    file: FileArgument,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 600,
) -> None:
    """Check, pay for and deploy what FILE describes; undone when it fails."""
    wanted = _load(file)
    found = _follow(profile_name, as_json, lambda grid, report: grid.deploy(wanted, report, timeout=timeout))
    _show(found, as_json, events=True)


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
    found = _run(profile_name, lambda grid: grid.ls())
    if as_json:
        print_json([_placed_json(each) for each in found])
    else:
        view.show_placed(found, workloads=False)


@app.command()
def get(name: NameArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show a deployment with the results of its workloads."""
    _show(_run(profile_name, lambda grid: grid.find(name)), as_json, events=False)


@app.command()
def changes(name: NameArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show every result that a deployment's workloads ever had, oldest first."""
    found = _run(profile_name, lambda grid: grid.changes(name))
    if as_json:
        print_json([{"contract": placed.contract, **_workload_json(one)} for placed, one in found])
        return
    for placed, one in found:
        view.show_change(placed, one)


@app.command()
def cancel(name: NameArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Cancel a deployment's contracts; its nodes remove everything, data too."""
    gone = _run(profile_name, lambda grid: grid.cancel(name))
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
    shown = _run(profile_name, lambda grid: attach(grid, name, machine, run))
    if as_json:
        print_json({"output": shown})
    elif shown:
        print(shown)


def main() -> None:
    """Console script."""
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


def _run(profile_name: str | None, work: Callable[[GridClient], Awaitable[T]]) -> T:
    """Do `work` with a client of the profile's grid; what goes wrong ends the program with one line."""
    try:
        chosen = profile.load(profile_name)
        key = Identity.load(chosen.user.key, chosen.user.key_type)
        enter(chosen.network.namespace)

        async def session() -> T:
            chain = Chain(chosen.chain.urls)
            try:
                bus = await connect(chosen.bus.redis)
            except BaseException:
                await chain.close()
                raise
            async with GridClient(chain, bus, chosen.user.twin, key) as grid:
                return await work(grid)

        return asyncio.run(session())
    except CheckFailed as problem:
        fail(f"not deployed, nothing was paid: {problem}")
    except (ClientError, RmbError, ChainError, ChainUnavailable, OSError, ValueError) as problem:
        fail(problem)
    except KeyboardInterrupt:
        fail("interrupted")


def _follow(
    profile_name: str | None,
    as_json: bool,
    work: Callable[[GridClient, Callable[[Event], None]], Awaitable[T]],
) -> T:
    if as_json:
        return _run(profile_name, lambda grid: work(grid, _print_event))
    with view.LiveView() as live:
        return _run(profile_name, lambda grid: work(grid, live.report))


def _load(file: Path) -> deployment_file.DeploymentFile:
    try:
        return deployment_file.load(file)
    except ClientError as problem:
        fail(problem, 2)


# -- JSON ----------------------------------------------------------------------------------------------------------


def _show(found: list[Placed], as_json: bool, *, events: bool) -> None:
    if not as_json:
        view.show_placed(found, workloads=True)
    elif events:
        print(json.dumps({"deployed": [_placed_json(each) for each in found]}), flush=True)
    else:
        print_json([_placed_json(each) for each in found])


def _print_event(event: Event) -> None:
    fields = {name: value for name in event.__slots__ if (value := getattr(event, name))}
    print(json.dumps(fields), flush=True)


def _placed_json(placed: Placed) -> dict[str, Any]:
    deployment = placed.deployment
    return {
        "name": placed.name,
        "node": placed.node,
        "contract": placed.contract,
        "state": placed.state,
        "problem": placed.problem,
        "version": deployment.version if deployment else None,
        "workloads": [_workload_json(one) for one in deployment.workloads] if deployment else [],
    }


def _workload_json(workload: Workload) -> dict[str, Any]:
    """Without the data: they may hold secrets of the user."""
    result = workload.result
    return {
        "name": workload.name,
        "type": workload.type.value,
        "version": workload.version,
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


def _node_json(summary: NodeSummary) -> dict[str, Any]:
    node = summary.node
    return {
        "id": node.id,
        "twin": node.twin_id,
        "farm": node.farm_id,
        "up": summary.is_up,
        "version": summary.version,
        "features": list(summary.features),
        "country": node.location.country,
        "cru": node.resources.cru,
        "mru": node.resources.mru,
        "sru": node.resources.sru,
        "hru": node.resources.hru,
    }


if __name__ == "__main__":
    main()
