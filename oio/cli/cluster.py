"""`openio cluster`: which services there are, and how they are scored."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, Final

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list, show_one
from oio.cli.session import session
from oio.common.configuration import load_namespace_conf
from oio.common.exceptions import OioException

app = typer.Typer(no_args_is_help=True, help="Which services there are, and how they are scored.")
local = typer.Typer(no_args_is_help=True, help="This machine.")
app.add_typer(local, name="local")

COLUMNS: Final = ("Type", "Addr", "Service Id", "Volume", "Location", "Slots", "Up", "Score", "Locked")


def complete_any_type(incomplete: str) -> list[str]:
    """Service types of the namespace, as far as they can be asked for."""
    try:
        return [kind for kind in session().conscience.service_types() if kind.startswith(incomplete)]
    except (OioException, ValueError):
        return []


Types = Annotated[
    list[str] | None, typer.Argument(help="Service types; default: all.", autocompletion=complete_any_type)
]
Type = Annotated[str, typer.Argument(help="Service type.", autocompletion=complete_any_type)]
ServiceId = Annotated[str, typer.Argument(help="Address or id of the service.")]


def _row(kind: str, service: dict[str, Any], extra: list[str]) -> tuple[Any, ...]:
    tags = service.get("tags", {})
    row: list[Any] = [
        kind,
        service["addr"],
        tags.get("tag.service_id", "n/a"),
        tags.get("tag.vol", "n/a"),
        tags.get("tag.loc", "n/a"),
        tags.get("tag.slots", "n/a"),
        bool(tags.get("tag.up", False)),
        service.get("score", 0),
        bool(tags.get("tag.lock", False)),
    ]
    for prefix in extra:
        found = {key: value for key, value in sorted(tags.items()) if key.startswith(prefix)}
        row.append(" ".join(f"{key}={value}" for key, value in found.items()))
    return tuple(row)


@app.command("list")
def list_(
    types: Types = None,
    stats: Annotated[bool, typer.Option("--stats", "--full", help="Show what services measure.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="Show all tags.")] = False,
    locked: Annotated[bool, typer.Option("--locked", help="Only services whose score is locked.")] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """List services."""
    extra = [*(["tag."] if tags else []), *(["stat."] if stats else [])]
    names = [{"tag.": "Tags", "stat.": "Stats"}[prefix] for prefix in extra]
    client, rows = session().conscience, []
    for kind in types or client.service_types(**session().request):
        for service in client.all_services(kind, full=stats, **session().request):
            if not locked or service.get("tags", {}).get("tag.lock"):
                rows.append(_row(kind, service, extra))
    show_list((*COLUMNS, *names), rows, form, column)


@app.command()
def show(form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Show the description of the namespace."""
    found = session().conscience.info(**session().request)
    shown = {"namespace": found["ns"], "chunksize": found["chunksize"]}
    for part in ("storage_policy", "data_security", "service_pools", "options"):
        for name, value in found.get(part, {}).items():
            shown[f"{part}.{name}"] = value
    show_one(shown, form, column)


@app.command()
def lock(
    service_type: Type,
    service_id: ServiceId,
    score: Annotated[int, typer.Option("-s", "--score", min=0, max=100, help="Score to hold.")] = 0,
) -> None:
    """Hold the score of a service."""
    client = session().conscience
    client.lock_score(
        client.get_service_definition(service_type, service_id, score=score), **session().request
    )


@app.command()
def unlock(service_type: Type, service_id: ServiceId) -> None:
    """Let the score of a service be computed again."""
    client = session().conscience
    client.unlock_score(client.get_service_definition(service_type, service_id), **session().request)


@app.command()
def unlockall(types: Types = None) -> None:
    """Let all scores be computed again."""
    client = session().conscience
    for kind in types or client.service_types(**session().request):
        services = client.all_services(kind, **session().request)
        if services:
            found = [client.get_service_definition(kind, service["addr"]) for service in services]
            client.unlock_score(found, **session().request)


@app.command()
def wait(
    types: Types = None,
    count: Annotated[int, typer.Option("-n", "--count", min=0, help="Services that are needed.")] = 0,
    delay: Annotated[float, typer.Option("-d", "--delay", min=0, help="Seconds to wait at most.")] = 15.0,
    score: Annotated[int, typer.Option("-s", "--score", min=0, max=100, help="Lowest score.")] = 1,
    unlock_them: Annotated[bool, typer.Option("-u", "--unlock", help="Unlock them meanwhile.")] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Wait until services have a score; exit status 1 when they do not in time."""
    end = time.monotonic() + delay
    while True:
        found = _found(types)
        if unlock_them:
            unlockall(types)
        low = [one for one in found if one[1]["score"] < score]
        if not low and len(found) >= max(1, count):
            rows = [_row(kind, service, []) for kind, service in found]
            show_list(COLUMNS, rows, form, column)
            return
        if time.monotonic() >= end:
            names = ", ".join(service["addr"] for _, service in low[:8]) or "none is missing a score"
            raise OioException(f"{len(found)} services after {delay:g} s; below a score of {score}: {names}")
        time.sleep(min(0.5, max(0.0, end - time.monotonic())))


def _found(types: list[str] | None) -> list[tuple[str, dict[str, Any]]]:
    client = session().conscience
    kinds = types or client.service_types(**session().request)
    return [(kind, one) for kind in kinds for one in client.all_services(kind, **session().request)]


@app.command()
def flush(types: Types = None) -> None:
    """Forget all services of these types; those that live register again."""
    client = session().conscience
    for kind in types or client.service_types(**session().request):
        client.flush(kind, **session().request)


@app.command()
def deregister(
    service_type: Type, services: Annotated[list[str], typer.Argument(help="Addresses of services.")]
) -> None:
    """Forget services."""
    client = session().conscience
    client.deregister(
        [client.get_service_definition(service_type, service) for service in services], **session().request
    )


@app.command()
def resolve(
    service_type: Type,
    service_id: ServiceId,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Show the address of a service id."""
    show_one(session().conscience.resolve(service_type, service_id, **session().request), form, column)


@local.command("list")
def local_list(types: Types = None, form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """List services that registered through this proxy."""
    services = session().conscience.local_services(**session().request)
    rows = [_row(one["type"], one, []) for one in services if not types or one["type"] in types]
    show_list(COLUMNS, rows, form, column)


@local.command("conf")
def local_conf(form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Show the namespace file's settings."""
    found = load_namespace_conf(session().conf["namespace"], failsafe=True)
    if not found:
        sys.stderr.write(f"nothing is set; looked into {', '.join(map(str, found.tried))}\n")
    show_one(dict(sorted(found.items())), form, column)
