"""`dynamo-user-auth`: users and what they may do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dynamo.core.master.users import Users
from dynamo.tools.server_side import master_of_this_server, show

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)


@app.command()
def user_auth(
    user: Annotated[str | None, typer.Option("-u", "--user", help="Login name.")] = None,
    dn: Annotated[str | None, typer.Option("-n", "--dn", help="Name of the certificate.")] = None,
    mail: Annotated[str, typer.Option("-m", "--mail", help="E-mail address.")] = "",
    role: Annotated[str | None, typer.Option("-r", "--role", help="Role, such as admin.")] = None,
    target: Annotated[
        str | None, typer.Option("-g", "--target", help="What for; everything when left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("-Y", "--yes", help="Make a new user without asking.")] = False,
    revoke: Annotated[bool, typer.Option("-R", "--revoke", help="Take the role away.")] = False,
    listing: Annotated[bool, typer.Option("-L", "--list", help="List users and rights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Annotated[str | None, typer.Option(help="Configuration of the server.")] = None,
) -> None:
    """Add users, and give or take roles for inventory, history, registry or application."""
    with master_of_this_server("dynamo-user-auth", config) as database:
        users = Users(database)
        if not listing:
            if user is None:
                print("dynamo-user-auth: give -u USER, or -L", file=sys.stderr)
                raise typer.Exit(2)
            if role is None and (revoke or target is not None):
                print("dynamo-user-auth: give -r ROLE, the role that is given or taken", file=sys.stderr)
                raise typer.Exit(2)
            if users.identify_user(name=user) is None and dn is not None and not revoke:
                if not yes and not typer.confirm(f"Add the new user {user}?"):
                    raise typer.Exit(1)
                users.add_user(user, dn, mail)
            if role is not None:
                change = users.revoke_user_authorization if revoke else users.authorize_user
                change(user, role, target)
        rows = [
            {"user": name, "role": has_role or "", "target": has_target or "", "dn": name_dn}
            for name, name_dn, has_role, has_target in users.list_all()
            if user in (None, name)
        ]
        show(rows, as_json)


def main() -> None:
    """The command."""
    app()
