"""The command line `openio`."""

from __future__ import annotations

import typer

from oio.cli import cluster, directory, election, reference, zookeeper
from oio.cli.session import run, start

app = typer.Typer(
    name="openio",
    no_args_is_help=True,
    help="A metadata directory: its references, services, elections and mapping.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(start)
app.add_typer(cluster.app, name="cluster")
app.add_typer(directory.app, name="directory")
app.add_typer(election.app, name="election")
app.add_typer(reference.app, name="reference")
app.add_typer(zookeeper.app, name="zk")


def main() -> None:
    """Entry point of the console script."""
    run(app, "openio")


if __name__ == "__main__":
    main()
