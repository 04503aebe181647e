"""`dynamo-fleet`: a fleet on one machine, to try things out."""

from __future__ import annotations

import json
import shlex
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
    loopback: Annotated[
        bool, typer.Option("--loopback", help="No network of its own, also for root.")
    ] = False,
) -> None:
    """Start a fleet, or what of it does not run; done again it changes nothing.

    For root every server is in a name space of the network; for others all have addresses of loopback.  A folder
    `sites/NAME` with a file `.dynamo-site` that says NAME holds the files of a site.
    """
    try:
        fleet = Fleet.opened(folder.absolute(), servers, _say, loopback)
        fleet.up()
    except (DynamoError, OSError, subprocess.SubprocessError) as error:
        raise _refused(error) from None
    first = fleet.status()[0]
    chosen = "" if folder == DEFAULT else f" --folder {shlex.quote(str(fleet.layout.folder))}"
    print(f'eval "$(dynamo-fleet env{chosen})"; dynamo --servers')
    print(first["web"])


@app.command()
def env(folder: Folder = DEFAULT) -> None:
    """Print variables for a shell, so that all commands speak to the first server that runs as its administrator."""
    for name, value in _opened(folder).environment().items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def cut(server: str, folder: Folder = DEFAULT) -> None:
    """Pull the network cable of a server out, of a fleet that root has started."""
    _plug(server, folder, False)


@app.command()
def mend(server: str, folder: Folder = DEFAULT) -> None:
    """Put the network cable of a server in again."""
    _plug(server, folder, True)


def _opened(folder: Path) -> Fleet:
    try:
        return Fleet.opened(folder.absolute(), None, _say)
    except (DynamoError, OSError) as error:
        raise _refused(error) from None


def _plug(server: str, folder: Path, is_in: bool) -> None:
    fleet = _opened(folder)
    try:
        fleet.plug(server, is_in)
    except (DynamoError, OSError, subprocess.SubprocessError) as error:
        raise _refused(error) from None


@app.command()
def status(
    folder: Folder = DEFAULT, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show what runs; exit code 1 unless all of it does."""
    rows = _opened(folder).status()
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
    fleet = _opened(folder)
    try:
        fleet.down(remove)
    except (DynamoError, OSError, subprocess.SubprocessError) as error:
        raise _refused(error) from None


def main() -> None:
    """The command."""
    app()
