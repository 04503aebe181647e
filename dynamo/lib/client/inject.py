"""`dynamo-inject`: put objects into the inventory, or take them out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dynamo.client.options import Ca, Cert, Host, Key, RawAnswer
from dynamo.client.trees import (
    WrongForm,
    make_dataset_data,
    make_dataset_replica_data,
    make_group_data,
    make_site_data,
)
from dynamo.client.webserver import WebServer
from dynamo.dataformat import DynamoError, OperationalError

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)
Texts = list[str] | None


@app.command()
def inject(
    source: Annotated[str | None, typer.Argument(help="File of JSON, or - for standard input.")] = None,
    delete: Annotated[bool, typer.Option("-X", "--delete", help="Delete instead.")] = False,
    dataset: Annotated[Texts, typer.Option("-d", "--dataset", help="name[,status[,type]]")] = None,
    block: Annotated[Texts, typer.Option("-b", "--block", help="Name.")] = None,
    file: Annotated[Texts, typer.Option("-f", "--file", help="name,size[,site]")] = None,
    site: Annotated[Texts, typer.Option("-s", "--site", help="name[,host[,type[,backend[,status]]]]")] = None,
    group: Annotated[Texts, typer.Option("-g", "--group", help="name[,level]")] = None,
    replica: Annotated[Texts, typer.Option("-p", "--dataset-replica", help="site:dataset[,owner]")] = None,
    block_replica: Annotated[Texts, typer.Option("-r", "--block-replica", help="block[,owner]")] = None,
    replica_file: Annotated[Texts, typer.Option("-e", "--replica-file", help="Name.")] = None,
    later: Annotated[bool, typer.Option("--later", help="Queue it for the next run of the updater.")] = False,
    raw: RawAnswer = False,
    host: Host = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Inject what the options or a file describe, all or nothing."""
    try:
        if source is not None:
            data = _read(source)
        else:
            data = {
                "dataset": make_dataset_data(dataset or (), block, file, with_sizes=not delete),
                "site": make_site_data(site or ()),
                "group": make_group_data(group or ()),
                "datasetreplica": make_dataset_replica_data(replica or (), block_replica, replica_file),
            }
            data = {kind: trees for kind, trees in data.items() if trees}
        if not data:
            print("dynamo-inject: nothing is given; see --help", file=sys.stderr)
            raise typer.Exit(2)
        command = "deletesync" if delete else "injectsync"
        if later:
            command = command.removesuffix("sync")
        answer = WebServer(host, cert, key, ca).post(f"inventory/{command}", data)
    except DynamoError as error:
        print(f"dynamo-inject: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, WrongForm) else 1) from None
    if raw:
        print(json.dumps(answer))
    else:
        for name, count in answer["data"].items():
            print(f"{name}: {count}")


def _read(source: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if source == "-" else Path(source).read_text())
    except (OSError, ValueError) as error:
        raise OperationalError(f"{source} cannot be read as JSON: {error}") from None


def main() -> None:
    """The command."""
    app()
