"""The command `zosd`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop

import zosd
from rmb.errors import SettingsError
from tfchain.key_file import KeyFileError
from zosd import config as configuration
from zosd import logs
from zosd.doctor.doctor import read_report
from zosd.journal.schema import JournalError
from zosd.node import Node

app = typer.Typer(
    name="zosd", help="The node daemon.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; every key also as ZOS_<SECTION>_<KEY>.")
]


@app.command()
def run(config: ConfigFile = None) -> None:
    """Run the node until SIGTERM or SIGINT; virtual machines and tunnels are left running."""
    settings = _load(config)
    logs.set_up(settings.log)
    try:
        uvloop.run(_run(settings))
    except (JournalError, KeyFileError, OSError, ValueError) as error:
        _fail(str(error))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(zosd.__version__)


@app.command("check-config")
def check_config(config: ConfigFile = None) -> None:
    """Say whether the configuration can be used."""
    settings = _load(config)
    kind = "null node" if settings.node.null else "node"
    typer.echo(f"configuration is good: {kind} in {settings.paths.state}")


@app.command()
def doctor(config: ConfigFile = None) -> None:
    """Say what is wrong with this node and what to do, also while the daemon is down; status 1 when something is."""
    settings = _load(config)
    found = read_report(settings.paths.run or Path("/run/zosd"), time.time())
    for one in found:
        typer.echo(f"{'ok ' if one.ok else 'BAD'}  {one.subject}: {one.text}")
        if not one.ok:
            typer.echo(f"     {one.remedy}")
    if not all(one.ok for one in found):
        raise SystemExit(1)


def main() -> None:
    app()


async def _run(settings: configuration.Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Node(settings).run(stop)


def _load(path: Path | None) -> configuration.Config:
    try:
        return configuration.load(path)
    except SettingsError as error:
        _fail(str(error))


def _fail(reason: str) -> NoReturn:
    print(f"zosd: {reason}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
