"""`openio-admin oioproxy`: caches and live variables of proxies."""

from __future__ import annotations

from typing import Annotated

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.reference import pairs
from oio.cli.session import session

app = typer.Typer(no_args_is_help=True, help="Caches and live variables of proxies.")

Proxies = Annotated[
    list[str] | None, typer.Argument(help="Addresses of proxies; default: the namespace's one.")
]
Parameters = Annotated[list[str], typer.Option("-p", "--parameter", help="name=value; may be repeated.")]


def _addresses(proxies: list[str] | None) -> list[str]:
    return proxies or [session().admin.proxy_netloc]


@app.command()
def decache(proxies: Proxies = None, form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Empty the caches."""
    rows = []
    for address in _addresses(proxies):
        session().admin.proxy_flush_cache(proxy_netloc=address, **session().request)
        rows.append((address, "OK"))
    show_list(("Id", "Status"), rows, form, column)


@app.command("get-config")
def get_config(
    proxies: Proxies = None, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Show all live variables."""
    rows = []
    for address in _addresses(proxies):
        found = session().admin.proxy_get_live_config(proxy_netloc=address, **session().request)
        rows += [(address, name, value) for name, value in sorted(found.items())]
    show_list(("Id", "Name", "Value"), rows, form, column)


@app.command("set-config")
def set_config(
    parameters: Parameters,
    proxies: Proxies = None,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Set live variables; they do not survive a restart. Exit status 1 when one is unknown."""
    rows = []
    for address in _addresses(proxies):
        found = session().admin.proxy_set_live_config(
            proxy_netloc=address, config=pairs(parameters), **session().request
        )
        rows += [(address, name, done) for name, done in sorted(found.items())]
    show_list(("Id", "Name", "Set"), rows, form, column)
    refused = [name for _, name, done in rows if not done]
    if refused:
        raise ValueError(f"not set: {', '.join(refused)}")
