"""`openio-admin meta0|meta1|meta2`: single services, and the bases that they hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.progress import Advance, progress
from oio.cli.reference import pairs
from oio.cli.session import session
from oio.common.exceptions import OioException
from oio.common.tool import Outcome, Tool
from oio.directory.agreement import Agreement
from oio.directory.meta1_rebuilder import Meta1Rebuilder
from oio.directory.meta2_decommission import Meta2Decommission
from oio.directory.meta2_rebuilder import Meta2Rebuilder

meta0 = typer.Typer(no_args_is_help=True, help="Meta0 services.")
meta1 = typer.Typer(no_args_is_help=True, help="Meta1 services and their bases.")
meta2 = typer.Typer(no_args_is_help=True, help="Meta2 services and their bases.")

meta2_list = typer.Typer(no_args_is_help=True, help="What a meta2 service holds.")
meta2.add_typer(meta2_list, name="list")

Services = Annotated[list[str] | None, typer.Argument(help="Addresses or ids; default: all.")]
Service = Annotated[str, typer.Argument(help="Address or id of the service.")]
Parameters = Annotated[list[str], typer.Option("-p", "--parameter", help="name=value; may be repeated.")]
Concurrency = Annotated[int, typer.Option(min=1, max=64, help="Bases at once.")]
FromDirectory = Annotated[
    bool,
    typer.Option("--from-directory", help="Ask meta1 which bases the service has, not the reverse index."),
]
PerSecond = Annotated[int, typer.Option(min=0, help="Bases a second; 0: no limit.")]


def _for_each(kind: str, services: list[str] | None, act: Any) -> Iterator[tuple[str, Any]]:
    chosen = services or [one["id"] for one in session().conscience.all_services(kind, **session().request)]
    for service in chosen:
        yield service, act(service, **session().request)


def _add_service_commands(app: typer.Typer, kind: str) -> None:
    @app.command()
    def decache(
        services: Services = None, form: FormatOption = Format.TABLE, column: ColumnOption = None
    ) -> None:
        """Empty the caches."""
        found = _for_each(kind, services, session().admin.service_flush_cache)
        show_list(("Id", "Status"), [(service, "OK") for service, _ in found], form, column)

    @app.command()
    def info(
        services: Services = None, form: FormatOption = Format.TABLE, column: ColumnOption = None
    ) -> None:
        """Show what services tell of themselves."""
        found = _for_each(kind, services, session().admin.service_get_info)
        rows = [(service, name, value) for service, told in found for name, value in sorted(told.items())]
        show_list(("Id", "Name", "Value"), rows, form, column)

    @app.command("get-config")
    def get_config(
        services: Services = None, form: FormatOption = Format.TABLE, column: ColumnOption = None
    ) -> None:
        """Show all live variables."""
        found = _for_each(kind, services, session().admin.service_get_live_config)
        rows = [(service, name, value) for service, told in found for name, value in sorted(told.items())]
        show_list(("Id", "Name", "Value"), rows, form, column)

    @app.command("set-config")
    def set_config(
        parameters: Parameters,
        services: Services = None,
        form: FormatOption = Format.TABLE,
        column: ColumnOption = None,
    ) -> None:
        """Set live variables; they do not survive a restart. Exit status 1 when one is unknown."""
        wanted = pairs(parameters)

        def act(service: str, **kwargs: Any) -> dict[str, bool]:
            return session().admin.service_set_live_config(service, wanted, **kwargs)

        rows = [
            (service, name, done)
            for service, told in _for_each(kind, services, act)
            for name, done in sorted(told.items())
        ]
        show_list(("Id", "Name", "Set"), rows, form, column)
        refused = [name for _, name, done in rows if not done]
        if refused:
            raise ValueError(f"not set: {', '.join(refused)}")


for _app, _kind in ((meta0, "meta0"), (meta1, "meta1"), (meta2, "meta2")):
    _add_service_commands(_app, _kind)


def run_tool(tool: Tool, form: Format, column: list[str] | None) -> None:
    """Run a tool and show what came of each item; OioException when not all succeeded."""
    tool.prepare_local_dispatcher()
    with progress("processing", None) as advance:
        rows = list(_outcomes(tool, tool.run(), advance))
    show_list(("Item", "Status", "Error"), rows, form, column)
    if not tool.is_success():
        raise OioException(
            f"{tool.total_errors} of {tool.total_items_processed} items failed"
            + ("" if tool.success else "; not all could be fetched")
        )


def _outcomes(tool: Tool, outcomes: Iterable[Outcome], advance: Advance) -> Iterator[tuple[str, str, str]]:
    for number, (item, _, error) in enumerate(outcomes, start=1):
        advance(number, tool.total_expected_items)
        yield tool.string_from_item(item), "error" if error else "OK", error or ""


def _settings(concurrency: int, per_second: int) -> dict[str, Any]:
    return {**session().conf, "concurrency": concurrency, "items_per_second": per_second}


@meta2.command("rebuild")
def meta2_rebuild(
    service: Annotated[str, typer.Argument(help="Service whose volume was lost.", show_default=False)] = "",
    input_file: Annotated[Path | None, typer.Option(help="File of container ids instead.")] = None,
    from_directory: FromDirectory = False,
    concurrency: Concurrency = 4,
    per_second: PerSecond = 30,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Copy the bases of a lost volume from their other peers."""
    if bool(service) == bool(input_file):
        raise ValueError("give either a service or --input-file")
    settings = _settings(concurrency, per_second)
    tool = Meta2Rebuilder(settings, input_file, service or None, from_directory=from_directory)
    run_tool(tool, form, column)


@meta2.command("decommission")
def meta2_decommission(
    service: Service,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would move.")] = False,
    from_directory: FromDirectory = False,
    concurrency: Concurrency = 4,
    per_second: PerSecond = 30,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Move all bases of a service to others, so that it can be thrown away. Lock its score to 0 before."""
    tool = Meta2Decommission(_settings(concurrency, per_second), service, from_directory)
    if dry_run:
        rows = [(tool.string_from_item(item), service) for item in tool.items()]
        show_list(("Base", "From"), rows, form, column)
        return
    run_tool(tool, form, column)


@meta2_list.command("containers")
def list_containers(service: Service, form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """List the containers of a service, from the reverse index."""
    records = session().rdir.meta2_index_fetch_all(service, **session().request)
    rows = [(one["container_url"], one["container_id"], one["mtime"]) for one in records]
    show_list(("Name", "CID", "Time"), rows, form, column)


@meta2.command("check")
def meta2_check(
    service: Service,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Look for bases that the directory does not give to it instead.")
    ] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Delete orphans.")] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Ask whether a service has every base that the reverse index says it has; exit status 1 when not."""
    if fix and not orphans:
        raise ValueError(
            "--fix deletes orphans: give --orphans with it; `meta2 rebuild` copies what is missing"
        )
    if orphans:
        _orphans(service, fix, form, column)
        return
    rows, wrong = [], 0
    for record in session().rdir.meta2_index_fetch_all(service, **session().request):
        cid = record["container_id"]
        try:
            found = session().admin.has_base(
                service_type="meta2", cid=cid, service_id=service, **session().request
            )
            status = found[service]["status"]
            state = "OK" if status["status"] == 200 else status["message"]
        except OioException as error:
            state = str(error)
        wrong += state != "OK"
        rows.append((record["container_url"], cid, state))
    show_list(("Name", "CID", "Status"), rows, form, column)
    if wrong:
        sys.stderr.write("`openio-admin meta2 rebuild` copies what is missing\n")
        raise OioException(f"{wrong} of {len(rows)} bases are not there")


def _orphans(service: str, fix: bool, form: Format, column: list[str] | None) -> None:
    now = session()
    agreement = Agreement("meta2", now.admin, now.conscience, now.directory)
    rows = []
    for name in list(agreement.orphans(service, **now.request)):
        if fix:
            now.admin.service_remove_base(service, "meta2", name, **now.request)
        rows.append((name, "deleted" if fix else "not in the directory"))
    show_list(("Base", "Status"), rows, form, column)
    if rows and not fix:
        raise OioException(f"{len(rows)} bases are not in the directory; --fix deletes them")


@meta1.command("rebuild")
def meta1_rebuild(
    service: Service,
    concurrency: Concurrency = 4,
    per_second: PerSecond = 30,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Copy the bases of a lost meta1 volume from their other peers."""
    run_tool(Meta1Rebuilder(_settings(concurrency, per_second), service), form, column)


@meta1.command("check")
def meta1_check(service: Service, form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Ask whether a meta1 service has every base that meta0 says it has; exit status 1 when not."""
    tool = Meta1Rebuilder(session().conf, service)
    rows, wrong = [], 0
    for _, base in tool.items():
        missing = tool.missing(base)
        wrong += bool(missing)
        rows.append((base, "missing" if missing else "OK"))
    show_list(("Base", "Status"), rows, form, column)
    if wrong:
        raise OioException(f"{wrong} of {len(rows)} bases are not there; `meta1 rebuild` copies them")
