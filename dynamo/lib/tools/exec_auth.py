"""`dynamo-exec-auth`: which executables may write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dynamo.core.master.authorizations import EVERYBODY, Authorizations
from dynamo.core.master.users import Users
from dynamo.dataformat import ObjectError
from dynamo.tools.server_side import master_of_this_server, show

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)


@app.command()
def exec_auth(
    executable: Annotated[Path | None, typer.Option("-x", "--executable", help="The executable.")] = None,
    title: Annotated[str | None, typer.Option("-t", "--title", help="Title it runs under.")] = None,
    user: Annotated[
        list[str] | None, typer.Option("-u", "--user", help="Users; everybody when left out.")
    ] = None,
    delete: Annotated[bool, typer.Option("-D", "--delete", help="Take the right away.")] = False,
    listing: Annotated[bool, typer.Option("-L", "--list", help="List rights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Annotated[str | None, typer.Option(help="Configuration of the server.")] = None,
) -> None:
    """Let exactly these bytes of an executable write under a title."""
    try:
        content = None if executable is None else executable.read_bytes()
    except OSError as error:
        print(f"dynamo-exec-auth: {executable} cannot be read: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    with master_of_this_server("dynamo-exec-auth", config) as database:
        rights, users = Authorizations(database), Users(database)
        if listing:
            rows = rights.listed(title, user[0] if user else None, content)
            show(
                [
                    {"title": row.title, "user": row.user or "ALL", "sha256": row.checksum256.hex()}
                    for row in rows
                ],
                as_json,
            )
            return
        if title is None or (content is None and not delete):
            print("dynamo-exec-auth: give -t TITLE and -x FILE, or -D -t TITLE, or -L", file=sys.stderr)
            raise typer.Exit(2)
        done = []
        for name in user or [None]:  # type: ignore[list-item]  # None stands for everybody
            number = EVERYBODY if name is None else _number(users, name)
            if delete:
                count = rights.revoke(title, None if name is None else number)
                done.append({"title": title, "user": name or "ALL", "revoked": count})
            else:
                assert content is not None, "checked above"
                new = rights.authorize(title, content, number)
                done.append(
                    {
                        "title": title,
                        "user": name or "ALL",
                        "result": "authorized" if new else "already authorized",
                    }
                )
        show(done, as_json)
        if delete and not any(row["revoked"] for row in done):
            raise typer.Exit(1)


def _number(users: Users, name: str) -> int:
    found = users.identify_user(name=name)
    if found is None:
        raise ObjectError(f"Unknown user {name}; add it with dynamo-user-auth")
    return found.id


def main() -> None:
    """The command."""
    app()
