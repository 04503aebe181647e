"""`dynamo-fleet`: a fleet on one machine, to try things out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dynamo.dataformat import DynamoError
from dynamo.fleet.fleet import Fleet

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False, no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--folder", "-f", help="Where everything of it lies.")]
DEFAULT = Path.home() / "dynamo-fleet"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _refused(error: Exception) -> typer.Exit:
    print(f"dynamo-fleet: {error}", file=sys.stderr)
    return typer.Exit(1)


@app.command()
def up(
    servers: Annotated[int, typer.Option("--servers", "-n", help="How many servers.")] = 3,
    folder: Folder = DEFAULT,
) -> None:
    """Start a fleet, or what of it does not run; done again it changes nothing."""
    try:
        fleet = Fleet.opened(folder.absolute(), servers, _say)
        fleet.up()
    except (DynamoError, OSError, subprocess.SubprocessError) as error:
        raise _refused(error) from None
    first = fleet.status()[0]
    certificates = f"-c {fleet.layout.folder}/admin.pem --ca {fleet.layout.folder}/ca.pem"
    print(f"dynamo -s {first['address']} {certificates} --servers")
    print(first["web"])


@app.command()
def status(
    folder: Folder = DEFAULT, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show what runs; exit code 1 unless all of it does."""
    try:
        rows = Fleet.opened(folder.absolute(), None, _say).status()
    except (DynamoError, OSError) as error:
        raise _refused(error) from None
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            parts = [f"server {'runs' if row['server'] else 'is down'}"]
            if row["database"] is not None:
                parts.append(f"MariaDB {'runs' if row['database'] else 'is down'}")
            print(f"{row['name']} at {row['address']}: {', '.join(parts)}; {row['web']}")
    if not all(row["server"] and row["database"] in (True, None) for row in rows):
        raise typer.Exit(1)


@app.command()
def down(
    folder: Folder = DEFAULT,
    remove: Annotated[bool, typer.Option("--remove", help="Remove its folder, data included.")] = False,
) -> None:
    """End a fleet."""
    try:
        Fleet.opened(folder.absolute(), None, _say).down(remove)
    except (DynamoError, OSError) as error:
        raise _refused(error) from None


def main() -> None:
    """The command."""
    app()
