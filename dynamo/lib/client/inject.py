"""`dynamo-inject`: put objects into the inventory, or take them out."""

from __future__ import annotations

import json
import os
import ssl
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import urllib3

from dynamo.client.connection import default_certificate
from dynamo.client.trees import (
    WrongForm,
    make_dataset_data,
    make_dataset_replica_data,
    make_group_data,
    make_site_data,
)
from dynamo.dataformat import DynamoError, OperationalError

ANSWER_S = 300.0

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
    raw: Annotated[bool, typer.Option("-A", "--json", help="Print the answer in JSON.")] = False,
    host: Annotated[str | None, typer.Option("-o", "--host", help="HOST[:PORT] of the web server.")] = None,
    cert: Annotated[str | None, typer.Option("-c", "--cert", help="Certificate.")] = None,
    key: Annotated[str | None, typer.Option("-k", "--key", help="Key of the certificate.")] = None,
    ca: Annotated[str | None, typer.Option("--ca", envvar="DYNAMO_CA", help="Who signs servers.")] = None,
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
        answer = _post("deletesync" if delete else "injectsync", data, host, (cert, key, ca))
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


def _post(command: str, data: Any, host: str | None, files: tuple[str | None, str | None, str | None]) -> Any:
    certificate, key, ca = files
    where = host or os.environ.get("DYNAMO_SERVER_HOST", "localhost")
    try:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(certificate or default_certificate(), key)
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=ANSWER_S) as pool:
            answer = pool.request(
                "POST",
                f"https://{where}/data/inventory/{command}",
                body=json.dumps(data),
                headers={"Content-Type": "application/json"},
            )
        value = json.loads(answer.data)
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        raise OperationalError(f"{where} does not answer: {error}") from None
    if answer.status != 200:
        raise OperationalError(f"{where} refuses ({answer.status}): {str(value.get('message')).strip()}")
    return value


def main() -> None:
    """The command."""
    app()
