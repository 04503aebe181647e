"""What commands need that change a server's tables directly."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from dynamo.client.columns import in_columns
from dynamo.core.components.impl.database import Database
from dynamo.core.master.database import open_master
from dynamo.core.serverconfig import read_server_config
from dynamo.dataformat import DynamoError


@contextmanager
def master_of_this_server(command: str, config: str | None) -> Iterator[Database]:
    """The tables of the configured server.

    Only for root, or where `DYNAMO_SERVER_DEBUG` is 1; errors become one line and exit code 1.
    """
    if os.geteuid() != 0 and os.environ.get("DYNAMO_SERVER_DEBUG") != "1":
        print(f"{command}: only root may do this", file=sys.stderr)
        raise typer.Exit(1)
    try:
        database = open_master(read_server_config(config).manager.master)
        try:
            yield database
        finally:
            database.close()
    except DynamoError as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def show(value: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as JSON, or as columns."""
    if as_json:
        print(json.dumps(value))
        return
    for line in in_columns(value):
        print(line)
