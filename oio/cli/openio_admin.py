"""The command line `openio-admin`."""

from __future__ import annotations

import typer

from oio.cli import container, meta_service, proxy, reverse_index
from oio.cli.session import run, start

app = typer.Typer(
    name="openio-admin",
    no_args_is_help=True,
    help="Administration of a metadata directory: services, bases, caches.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(start)
app.add_typer(meta_service.meta0, name="meta0")
app.add_typer(meta_service.meta1, name="meta1")
app.add_typer(meta_service.meta2, name="meta2")
app.add_typer(container.app, name="container")
app.add_typer(container.directory, name="directory")
app.add_typer(proxy.app, name="oioproxy")
app.add_typer(reverse_index.app, name="rdir")


def main() -> None:
    """Entry point of the console script."""
    run(app, "openio-admin")


if __name__ == "__main__":
    main()
