"""`dynamod`: the server."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from dynamo.core.cluster.member import StartTimeout
from dynamo.core.server import serve, set_up_logging
from dynamo.core.serverconfig import read_server_config
from dynamo.dataformat import DynamoError

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)


@app.command()
def dynamod(
    config: Annotated[str | None, typer.Option(help="Configuration; default: DYNAMO_SERVER_CONFIG.")] = None,
    port_file: Annotated[
        Path | None, typer.Option(help="Write all ports here, in JSON, once they are open.")
    ] = None,
) -> None:
    """Serve the inventory until SIGTERM."""
    try:
        settings = read_server_config(config)
        set_up_logging(settings.logging)
        asyncio.run(serve(settings, port_file))
    except StartTimeout as error:
        print(f"dynamod: {error}", file=sys.stderr)
        raise typer.Exit(3) from None
    except DynamoError as error:
        print(f"dynamod: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except ExceptionGroup as group:
        for problem in group.exceptions:
            logging.error("%s", problem)
            print(f"dynamod: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None


def main() -> None:
    """The command."""
    app()
