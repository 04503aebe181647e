"""`dynamo-server-conf`: the configuration of a server, from the short one of an installation."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dynamo.core.installconfig import read_passwords, server_config
from dynamo.dataformat import ConfigurationError, DynamoError

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)


@app.command()
def server_conf(
    source: Annotated[Path, typer.Argument(help="dynamo.cfg")],
    grants: Annotated[
        Path | None, typer.Option("-g", "--grants", help="JSON with a password for every database user.")
    ] = None,
    defaults: Annotated[
        Path | None, typer.Option("-d", "--defaults", help="JSON with defaults of programs.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it here, for its owner only.")
    ] = None,
) -> None:
    """Print server_config.json."""
    try:
        text = _text(source)
        given = None if defaults is None else json.loads(_text(defaults))
        found = server_config(text, {} if grants is None else read_passwords(grants), given)
        body = json.dumps(found, indent=2, sort_keys=True) + "\n"
        if output is None:
            print(body, end="")
        else:
            output.touch(mode=0o600)
            output.chmod(0o600)
            output.write_text(body)
    except (DynamoError, OSError, ValueError) as error:
        print(f"dynamo-server-conf: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def main() -> None:
    """The command."""
    app()
