"""`openio-admin container` and `directory`: where the bases of containers are, and moving them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.reference import named
from oio.cli.session import session
from oio.common.exceptions import OioException
from oio.directory.agreement import Agreement

app = typer.Typer(no_args_is_help=True, help="Bases of containers.")
directory = typer.Typer(no_args_is_help=True, help="References.")

ATTEMPTS: Final = {"request_attempts": 3}
"""Masters may change while a base is moved; a request that found none is repeated."""
Cids = Annotated[list[str], typer.Argument(help="Container ids, or names with --account.")]
Fix = Annotated[
    bool,
    typer.Option("--fix", help="Have the directory's peers hold the base, and nobody else."),
]
IsCid = Annotated[bool, typer.Option("--cid/--name", help="Whether ids or names are given.")]


def _cid(container: str, is_cid: bool) -> str:
    if is_cid:
        return container
    return str(session().directory.list(**named(container))["cid"])


@app.command()
def move(
    containers: Cids,
    src: Annotated[str, typer.Option("--src", help="Service that has the base.")],
    dst: Annotated[
        str, typer.Option("--dst", help="Service to get it; default: chosen.", show_default=False)
    ] = "",
    is_cid: IsCid = True,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Move bases from one service to another."""
    rows: list[tuple[Any, ...]] = []
    for container in containers:
        for result in session().meta2_database.move(
            _cid(container, is_cid), src, dst or None, **ATTEMPTS, **session().request
        ):
            error = result["err"]
            rows.append((result["base"], src, result["dst"], "error" if error else "OK", str(error or "")))
    show_list(("Base", "Source", "Destination", "Status", "Error"), rows, form, column)
    failed = sum(row[3] != "OK" for row in rows)
    if failed:
        raise OioException(f"{failed} of {len(rows)} bases were not moved")


@app.command()
def repair(
    containers: Cids, is_cid: IsCid = True, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Copy bases to those of their peers that lack them."""
    rows: list[tuple[Any, ...]] = []
    for container in containers:
        for result in session().meta2_database.rebuild(
            _cid(container, is_cid), **ATTEMPTS, **session().request
        ):
            error = result["err"]
            rows.append((result["base"], "error" if error else "OK", str(error or "")))
    show_list(("Base", "Status", "Error"), rows, form, column)
    failed = sum(row[1] != "OK" for row in rows)
    if failed:
        raise OioException(f"{failed} of {len(rows)} bases were not repaired")


@app.command()
def vacuum(
    containers: Cids, is_cid: IsCid = True, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Give back free pages of bases."""
    rows = []
    for container in containers:
        cid = _cid(container, is_cid)
        session().admin.vacuum_base(service_type="meta2", cid=cid, **session().request)
        rows.append((container, "OK"))
    show_list(("Container", "Status"), rows, form, column)


@app.command()
def locate(
    containers: Cids, is_cid: IsCid = True, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Show who has the base of each container, and who is its master."""
    rows: list[tuple[Any, ...]] = []
    for container in containers:
        cid = _cid(container, is_cid)
        rows += [(container, *row) for row in _located("meta2", cid)]
    show_list(("Container", "Type", "Host", "Election", "File", "Status"), rows, form, column)


@app.command()
def check(
    containers: Cids,
    fix: Fix = False,
    is_cid: IsCid = True,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Compare the peers that the directory names, those that the base names, and those that have the file."""
    rows: list[tuple[Any, ...]] = []
    for container in containers:
        cid = _cid(container, is_cid)
        found = session().directory.list(service_type="meta2", cid=cid, **session().request)
        linked = [one["host"] for one in found["srv"]]
        rows += [(container, *row) for row in _compared("meta2", cid, linked, fix)]
    _show_comparison(rows, form, column)


@directory.command("check")
def directory_check(
    references: Annotated[list[str], typer.Argument(help="Names of references.")],
    fix: Fix = False,
    is_cid: Annotated[bool, typer.Option("--cid", help="REFERENCES are container ids.")] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Compare the three places that name the peers of references' meta1 bases."""
    rows: list[tuple[Any, ...]] = []
    for reference in references:
        found = session().directory.list(service_type="meta1", **named(reference, is_cid))
        known = {one["id"] for one in session().conscience.all_services("meta1", **session().request)}
        # Meta0 services stand first in this list, and answers may not tell them apart.
        named_peers = [one["host"] for one in found["dir"] if one["host"] in known]
        rows += [(reference, *row) for row in _compared("meta1", found["cid"], named_peers, fix)]
    _show_comparison(rows, form, column)


def _located(kind: str, cid: str) -> list[tuple[Any, ...]]:
    where: dict[str, Any] = {"service_type": kind, "cid": cid, **session().request}
    elections = session().admin.election_status(**where)["peers"]
    words = {200: "master", 303: "slave"}
    rows = []
    for peer, answer in sorted(session().admin.has_base(**where).items()):
        state = elections.get(peer, {"status": {"status": 0}})["status"]["status"]
        has = answer["status"]["status"] == 200
        rows.append(
            (kind, peer, words.get(state, state), answer["body"] if has else "", answer["status"]["message"])
        )
    return rows


def _compared(kind: str, cid: str, linked: list[str], fix: bool) -> list[tuple[str, str]]:
    """Peer -> what is wrong with it; `OK` when nothing is, or nothing is any more."""
    now = session()
    agreement = Agreement(kind, now.admin, now.conscience, now.directory)
    try:
        found = agreement.holders(cid, linked, **now.request)
        if fix and not found.agree:
            found = agreement.fix(cid, found, **now.request)
    except OioException as error:
        return [("", str(error))]
    return [(peer, ", ".join(wrong) or "OK") for peer, wrong in found.wrong().items()]


def _show_comparison(rows: list[tuple[Any, ...]], form: Format, column: list[str] | None) -> None:
    show_list(("Reference", "Host", "Status"), rows, form, column)
    wrong = sum(row[2] != "OK" for row in rows)
    if wrong:
        raise OioException(f"{wrong} of {len(rows)} copies are not as they should be")
