"""`zos node`: one node, as it is and as it feels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from client import node_report
from client.node_answers import Amounts, DoctorFinding
from client.node_report import NodeReport
from client.options import JsonOption, ProfileOption
from client.running import on_grid
from client.terminal import print_json
from client.view import out, plain
from gridtypes import GIB

app = typer.Typer(help="One node: capacity, features, health.", no_args_is_help=True)

NumberArgument = Annotated[int, typer.Argument(help="Number of the node.")]


@app.command()
def show(number: NumberArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show what a node has, what of it is free, what it can do, and whether it is well."""
    found = on_grid(profile_name, lambda grid: node_report.report(grid, number))
    if as_json:
        print_json(_plain(found))
    else:
        _show(found)


@app.command()
def doctor(number: NumberArgument, profile_name: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Say what is wrong with a node and what to do about it; only its farmer is told.  Status 1 when something is."""
    found = on_grid(profile_name, lambda grid: node_report.doctor(grid, number))
    if as_json:
        print_json([finding.model_dump() for finding in found])
    else:
        for finding in found:
            _show_finding(finding)
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


def _show(found: NodeReport) -> None:
    node = found.node
    rented = f", rented as a whole by contract {found.renter}" if found.renter else ""
    out.print(
        f"[bold]node {node.id}[/] of farm {node.farm_id} (twin {node.twin_id}){rented}, "
        f"{plain(node.location.city)}, {plain(node.location.country)}",
        soft_wrap=True,
    )
    if found.problem:
        out.print(f"[red]does not answer:[/] {plain(found.problem)}", soft_wrap=True)
        return
    counters = found.counters
    rows = [
        ("version", found.version),
        ("total", _amounts(counters.total)),
        ("used", _amounts(counters.used)),
        ("of it the node's own", _amounts(counters.system)),
        ("free", _amounts(counters.free)),
        ("deployments", f"{counters.users.deployments} with {counters.users.workloads} workloads"),
        ("features", " ".join(found.features)),
    ]
    rows += [
        (f"pool {pool.name[:12]}", f"{pool.type}, {pool.used / GIB:.1f} of {pool.size / GIB:.1f} GiB used")
        for pool in found.pools
    ]
    rows += [
        (f"gpu {gpu.id}", f"{gpu.vendor} {gpu.device}, {'free' if not gpu.contract else 'taken'}")
        for gpu in found.gpus
    ]
    if found.public_config is not None:
        rows.append(("public", f"{found.public_config.ipv4} {found.public_config.ipv6}".strip()))
    rows.append(("health", _health(found)))
    for name, text in rows:
        out.print(f"  [dim]{plain(name):22}[/] {plain(text)}", soft_wrap=True)


def _health(found: NodeReport) -> str:
    if found.health is None:
        return "the node does not tell"
    bad = [
        f"{name} ({module.error_text})" for name, module in found.health.modules.items() if module.error_text
    ]
    if bad:
        return f"not well: {', '.join(sorted(bad))}"
    parts = "all parts answer" if found.health.system_status_ok else "not all parts answer"
    return parts + (", last check found nothing" if found.health.healthy else "")


def _show_finding(finding: DoctorFinding) -> None:
    mark = "[green]ok [/]" if finding.ok else "[red]BAD[/]"
    since = ""
    if finding.since:
        since = f" since {datetime.fromtimestamp(finding.since, UTC).strftime('%Y-%m-%d %H:%M:%S')} UTC"
    out.print(f"{mark} {plain(finding.subject)}: {plain(finding.text)}{since}", soft_wrap=True)
    if not finding.ok:
        out.print(f"    {plain(finding.remedy)}", soft_wrap=True)


def _amounts(amounts: Amounts) -> str:
    gib = {"memory": amounts.mru, "ssd": amounts.sru, "hdd": amounts.hru}
    return ", ".join([f"{amounts.cru} cpu", *(f"{size / GIB:.1f} GiB {name}" for name, size in gib.items())])


def _plain(found: NodeReport) -> dict[str, Any]:
    node = found.node
    return {
        "id": node.id,
        "twin": node.twin_id,
        "farm": node.farm_id,
        "farmer": found.farmer,
        "rent_contract": found.renter,
        "country": node.location.country,
        "city": node.location.city,
        "up": not found.problem,
        "problem": found.problem,
        "version": found.version,
        "features": list(found.features),
        "total": found.counters.total.model_dump(),
        "used": found.counters.used.model_dump(),
        "free": found.counters.free.model_dump(),
        "pools": [pool.model_dump() for pool in found.pools],
        "gpus": [gpu.model_dump() for gpu in found.gpus],
        "public_config": found.public_config.model_dump() if found.public_config else None,
        "health": found.health.model_dump() if found.health else None,
    }
