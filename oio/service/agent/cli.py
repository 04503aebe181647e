"""`oio-conscience-agent FILE`: watch the services that the files in `include_dir` name."""

from __future__ import annotations

import asyncio
import configparser
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from oio.service.agent.agent import Watching
from oio.service.agent.configuration import (
    MAX_FILE,
    Agent,
    BadConfiguration,
    Watched,
    parse_agent,
    parse_service,
    without_conflicts,
)

log = logging.getLogger(__name__)

SYSTEM: Final = Path("/etc/oio")


def load(path: Path) -> tuple[Agent, list[Watched]]:
    """The agent's file and the services it includes. BadConfiguration for the former; bad services are logged."""
    agent = parse_agent(str(path), _read(path))
    found: dict[str, Watched] = {}
    folder = path.parent / agent.include_dir
    for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if agent.include_dir else []:
        if file == path:
            continue
        try:
            found[str(file)] = parse_service(str(file), _read(file))
        except BadConfiguration as error:
            log.error("%s", error)
    services, errors = without_conflicts(found)
    for text in errors:
        log.error("%s", text)
    return agent, services


def proxy_of(agent: Agent, environment: Mapping[str, str] = os.environ, system: Path = SYSTEM) -> str:
    """The proxy's address: the agent's own, else that of the namespace file; BadConfiguration."""
    if agent.proxy:
        return agent.proxy
    parser = configparser.RawConfigParser()
    tried = [system / "sds.conf", *sorted((system / "sds.conf.d").glob("*"))]
    if not parser.read(tried):
        tried.append(Path(environment.get("HOME", "/")) / ".oio" / "sds.conf")
        parser.read(tried[-1:])
    if not parser.has_option(agent.namespace, "proxy"):
        files = ", ".join(map(str, tried))
        raise BadConfiguration(
            f"no `proxy` of namespace {agent.namespace} in {files}; or set `proxy` yourself"
        )
    return parser.get(agent.namespace, "proxy")


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadConfiguration(f"{path}: more than {MAX_FILE} bytes")
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: {error}") from error


async def _run(watching: Watching) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await watching.run(stop)


def watch(file: Annotated[Path, typer.Argument(help="The agent's YAML file.")]) -> None:
    """Check services again and again and tell the conscience, until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        agent, services = load(file)
        watching = Watching(agent, services, proxy_of(agent))
    except BadConfiguration as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    log.info("watching %d services of namespace %s", len(services), agent.namespace)
    asyncio.run(_run(watching))


def main() -> None:
    """Entry point of the console script."""
    typer.run(watch)


if __name__ == "__main__":
    main()
