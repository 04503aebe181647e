"""`openio election`: who is master of which base."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.session import session
from oio.cli.zookeeper import connected
from oio.common.exceptions import OioException
from oio.naming import peer_set_key

app = typer.Typer(no_args_is_help=True, help="Who is master of which base.")

TYPES = ("meta0", "meta1", "meta2")
FINE = (200, 303)


def complete_type(incomplete: str) -> list[str]:
    """Service types that have elections."""
    return [kind for kind in TYPES if kind.startswith(incomplete)]


Type = Annotated[str, typer.Argument(help="Service type.", autocompletion=complete_type)]
Reference = Annotated[str, typer.Argument(help="Name of the reference.")]
IsCid = Annotated[bool, typer.Option("--cid", help="REFERENCE is a container id.")]
Services = Annotated[
    list[str] | None, typer.Option("--service-id", help="Ask only this peer; may be repeated.")
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for the request.")]


def where(service_type: str, reference: str, is_cid: bool, services: list[str] | None) -> dict[str, Any]:
    """The location of a base, as keywords."""
    found: dict[str, Any] = {"service_type": service_type}
    if is_cid:
        found["cid"] = reference
    else:
        found["account"] = session().account_name()
        found["reference"] = reference
    if services:
        found["service_id"] = services
    return found


def _show(
    peers: dict[str, Any], accepted: Iterable[int], form: Format, column: list[str] | None, body: bool
) -> None:
    columns = ("Id", "Status", "Message", "Body") if body else ("Id", "Status", "Message")
    rows, failed = [], 0
    for peer, answer in sorted(peers.items()):
        status = answer["status"]
        failed += status["status"] not in accepted
        row = (peer, status["status"], status["message"])
        rows.append((*row, answer["body"]) if body else row)
    show_list(columns, rows, form, column)
    if failed:
        raise OioException(f"{failed} of {len(rows)} peers are not well")


@app.command()
def ping(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    service_id: Services = None,
    timeout: Timeout = 32.0,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Let all peers take part in the election."""
    base = where(service_type, reference, is_cid, service_id)
    peers = session().admin.election_ping(**base, read_timeout=timeout, **session().request)
    _show(peers, (200,), form, column, body=False)


@app.command()
def status(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    service_id: Services = None,
    timeout: Timeout = 32.0,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Show the master (200) and the slaves (303, with the master's address)."""
    base = where(service_type, reference, is_cid, service_id)
    found = session().admin.election_status(**base, read_timeout=timeout, **session().request)
    _show(found["peers"], FINE, form, column, body=False)


@app.command()
def debug(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    service_id: Services = None,
    timeout: Timeout = 32.0,
    human: Annotated[bool, typer.Option("--human", help="Show the transitions line by line.")] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Show what each peer knows, with its last transitions."""
    base = where(service_type, reference, is_cid, service_id)
    peers = session().admin.election_debug(**base, read_timeout=timeout, **session().request)
    if human:
        for answer in peers.values():
            if isinstance(answer["body"], dict):
                answer["body"] = "\n".join(answer["body"].get("log", ()))
    _show(peers, (200,), form, column, body=True)


@app.command()
def leave(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    service_id: Services = None,
    timeout: Timeout = 32.0,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Let all peers leave the election."""
    base = where(service_type, reference, is_cid, service_id)
    peers = session().admin.election_leave(**base, read_timeout=timeout, **session().request)
    _show(peers, (200,), form, column, body=False)


@app.command()
def sync(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    service_id: Services = None,
    timeout: Timeout = 32.0,
    check_type: Annotated[
        int | None, typer.Option(min=-1, max=2, help="Check of the copy: 0 none, 1 quick, 2 full.")
    ] = None,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Let the slaves fetch the base from the master, which answers 301."""
    base = where(service_type, reference, is_cid, service_id)
    kwargs = {**base, "check_type": check_type, "read_timeout": timeout, **session().request}
    _show(session().admin.election_sync(**kwargs), (200, 301), form, column, body=True)


@app.command()
def check(
    service_type: Type,
    reference: Reference,
    is_cid: IsCid = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete nodes of services that are no peers.")
    ] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Compare the nodes in ZooKeeper with the peers; exit status 1 while one is there that should not be."""
    base = where(service_type, reference, is_cid, None)
    peers = sorted(session().admin.election_status(**base, **session().request)["peers"])
    key = hashlib.sha256(peer_set_key(service_type, frozenset(peers)).encode()).hexdigest().upper()
    folder = f"/hc/ns/{session().namespace}/el/{service_type}"
    rows, rogue = [], 0
    with connected(session().namespace, service_type) as client:
        names = client.get_children(folder) if client.exists(folder) else []
        nodes = sorted((name for name in names if name.startswith(f"{key}-")), key=lambda name: name[-10:])
        for number, name in enumerate(nodes):
            host = client.get(f"{folder}/{name}")[0].decode("utf-8", "replace")
            known = host in peers
            state = ("master" if number == 0 else "slave") if known else "rogue"
            action = ""
            if not known:
                action = "deleted" if clean else "--clean deletes it"
                rogue += not clean
                if clean:
                    client.delete(f"{folder}/{name}")
            rows.append((name, host, state, action))
    show_list(("Node", "Host", "Status", "Action"), rows, form, column)
    if rogue:
        raise OioException(f"{rogue} nodes belong to services that are no peers")


@app.command()
def balance(
    service_type: Type,
    service_id: Services = None,
    limit: Annotated[
        int, typer.Option("--max", min=0, help="Elections that a service leaves at most.")
    ] = 100,
    inactivity: Annotated[int, typer.Option(min=0, help="Only elections idle for so many seconds.")] = 0,
    average: Annotated[
        bool, typer.Option("--average", help="Let services leave only what they have above the average.")
    ] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Let services give up elections that they are master of."""
    found = session()
    services = service_id or [
        one["id"] for one in found.conscience.all_services(service_type, **found.request)
    ]
    masters = {}
    if average:
        for one in services:
            masters[one] = int(found.admin.service_get_info(one, **found.request)["elections"]["master"])
    mean = sum(masters.values()) / (len(masters) or 1)
    rows, failed = [], 0
    for one in services:
        count = min(limit, max(0, round(masters[one] - mean))) if average else limit
        if average and not count:
            rows.append((one, 200, 0))
            continue
        try:
            rows.append(
                (one, *found.admin.service_balance_elections(one, count, inactivity, **found.request))
            )
        except OioException as error:
            failed += 1
            sys.stderr.write(f"{one}: {error}\n")
            rows.append((one, getattr(error, "http_status", 0), 0))
    show_list(("Id", "Status", "Count"), rows, form, column)
    if failed:
        raise OioException(f"{failed} of {len(rows)} services did not answer")
