"""`openio-admin rdir`: which rdir service keeps the index of which volume."""

from __future__ import annotations

from typing import Annotated

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.session import session
from oio.common.exceptions import OioException
from oio.rdir.assignment import Assignment, assign, check_assignment

app = typer.Typer(no_args_is_help=True, help="Indexes of volumes.")

Type = Annotated[str, typer.Argument(help="Service type.")]


def _show(rows: list[Assignment], form: Format, column: list[str] | None) -> None:
    found = [(one.volume, " ".join(one.rdirs), one.note) for one in rows]
    show_list(("Volume", "Rdir", "Note"), found, form, column)


@app.command()
def bootstrap(
    service_type: Type = "meta2", form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Give an rdir service to every volume that has none, and make its index."""
    _show(assign(session().conscience, session().directory, session().rdir, service_type), form, column)


@app.command()
def reassign(
    service_type: Type = "meta2", form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Give another rdir service to every volume whose one is gone. The indexer fills the new index."""
    found = session()
    _show(assign(found.conscience, found.directory, found.rdir, service_type, replace=True), form, column)


@app.command()
def check(
    service_type: Type = "meta2", form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Show the rdir service of every volume; exit status 1 when one has none that is up."""
    rows = check_assignment(session().conscience, session().directory, service_type)
    _show(rows, form, column)
    wrong = sum(one.note != "" for one in rows)
    if wrong:
        raise OioException(f"{wrong} of {len(rows)} volumes have no rdir service that is up: `rdir reassign`")
