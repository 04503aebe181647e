"""`dynamo-request`: ask for copies and deletions of data, look at requests, take them back."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from dynamo.client import requests
from dynamo.client.options import Ca, Cert, Host, Key, RawAnswer
from dynamo.client.trees import WrongForm
from dynamo.client.webserver import WebServer
from dynamo.dataformat import DynamoError

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)
Texts = list[str] | None


@app.command()
def request(
    delete: Annotated[bool, typer.Option("-D", "--delete", help="Delete instead of copy.")] = False,
    dataset: Annotated[Texts, typer.Option("-d", "--dataset", help="Name of a dataset.")] = None,
    block: Annotated[Texts, typer.Option("-b", "--block", help="dataset#block")] = None,
    site: Annotated[Texts, typer.Option("-s", "--site", help="Site, or a pattern of sites.")] = None,
    group: Annotated[str | None, typer.Option("-g", "--group", help="Who will own the copies.")] = None,
    copies: Annotated[
        int | None, typer.Option("-n", "--copies", help="How many copies; 0 = at every site.")
    ] = None,
    cancel: Annotated[int | None, typer.Option("-x", "--cancel", help="Take a request back.")] = None,
    poll: Annotated[
        bool, typer.Option("-l", "--list", help="Look at requests; --id or other options choose.")
    ] = False,
    number: Annotated[int | None, typer.Option("--id", help="Number of a request, with -l.")] = None,
    status: Annotated[Texts, typer.Option("-t", "--status", help="Status, with -l.")] = None,
    user: Annotated[Texts, typer.Option("-u", "--user", help="User, with -l.")] = None,
    raw: RawAnswer = False,
    host: Host = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Make a request, or with -l or -x look at one or end it."""
    kind = "delete" if delete else "copy"
    items = [*(dataset or ()), *(block or ())]
    try:
        if cancel is not None:
            fields: requests.Fields = [*requests.cancelcopy(cancel).items()]
        elif poll or number is not None:
            fields = requests.pollcopy(number, items, site, status, user)
        elif delete:
            fields = requests.delete(items, site)
        else:
            fields = requests.copy(items, site, copies, group)
        server = WebServer(host, cert, key, ca)
        if cancel is not None:
            answer = server.get(f"request/cancel{kind}", fields)
        elif poll or number is not None:
            answer = server.get(f"request/poll{kind}", fields)
        else:
            answer = server.post_form(f"request/{kind}", fields)
    except DynamoError as error:
        print(f"dynamo-request: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, WrongForm) else 1) from None
    if raw:
        print(json.dumps(answer))
    else:
        for row in answer["data"]:
            _print(row)


def _print(row: dict[str, Any]) -> None:
    what = ", ".join(row["item"]) if isinstance(row["item"], list) else row["item"]
    print(f"{row['request_id']}: {row['status']} {what} at {', '.join(row['site'])}, by {row['user']}")
    if "reason" in row:
        print(f"  because {row['reason']}")
    for action in row.get("active", ()):
        print(f"  {action['item']} at {action['site']}: {action['status']} since {action['updated']}")


def main() -> None:
    """The command."""
    app()
