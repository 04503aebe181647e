"""`dynamo-group`: who leads the group of MariaDBs, and who shall."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from dynamo.core.cluster.guardian import Guardian
from dynamo.core.cluster.replica import Replica
from dynamo.core.cluster.succession import leader_among, quorum
from dynamo.core.serverconfig import read_server_config
from dynamo.dataformat import ConfigurationError, DynamoError

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False, no_args_is_help=True)
Config = Annotated[str | None, typer.Option(help="Configuration; default: DYNAMO_SERVER_CONFIG.")]


def _guardian(path: str | None) -> tuple[Guardian, int]:
    config = read_server_config(path)
    replicas = config.manager.master.replicas
    if replicas is None:
        raise ConfigurationError("This configuration has no manager.master.replicas, so there is no group")
    own = config.name if config.name in replicas else next(iter(replicas))
    found = {name: Replica(name, params) for name, params in replicas.items()}
    return Guardian(own, found, config.manager.lease.ttl, Path(config.manager.conflicts)), len(found)


@app.command()
def status(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show every MariaDB that can be reached; exit code 1 when nobody leads."""
    try:
        guardian, size = _guardian(config)
    except DynamoError as error:
        print(f"dynamo-group: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    states = guardian.states()
    leader = leader_among(states.values())
    rows = [
        {
            "name": state.name,
            "leads": state is leader,
            "epoch": state.epoch,
            "position": state.position,
            "follows": state.follows,
            "runs": state.runs,
        }
        for _, state in sorted(states.items())
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            what = "leads" if row["leads"] else f"follows {row['follows'] or 'nobody'}"
            print(f"{row['name']}: {what}, epoch {row['epoch']}, transaction {row['position']}")
        print(f"{len(rows)} of {size} can be reached; {quorum(size)} are needed to choose a leader")
    if leader is None:
        raise typer.Exit(1)


@app.command()
def lead(name: str, config: Config = None) -> None:
    """Hand the lead over to a MariaDB, for example before its predecessor is stopped."""
    _elect(name, config, None)


@app.command()
def promote(
    name: str,
    force: Annotated[bool, typer.Option("--force", help="Do it without enough of them.")] = False,
    config: Config = None,
) -> None:
    """Let a MariaDB lead although too few can be reached."""
    if not force:
        print(
            "dynamo-group: others may lead elsewhere, and what they have acknowledged is lost"
            " here. Make sure that they are off, then say --force.",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    _elect(name, config, 1)


def _elect(name: str, config: str | None, needed: int | None) -> None:
    try:
        guardian, _ = _guardian(config)
        states = guardian.states()
        if name not in states:
            raise ConfigurationError(f"{name} cannot be reached; known are {', '.join(sorted(states))}")
        epoch = max(state.epoch for state in states.values()) + 1
        chosen = guardian.elect(epoch, states, needed, name)
    except DynamoError as error:
        print(f"dynamo-group: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if chosen is None:
        print("dynamo-group: too few have promised; look at the status", file=sys.stderr)
        raise typer.Exit(1)
    print(f"{chosen} leads in epoch {epoch} since {time.strftime('%H:%M:%S')}")


def main() -> None:
    """The command."""
    app()
