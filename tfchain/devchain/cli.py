"""`tfchain-dev`: run a development chain.

Options can stand in a TOML file (`--config`), in its section `[devchain]`, and in the environment as
`ZOS_DEVCHAIN_<OPTION>`.  The command line wins over the environment, and that over the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import signal
import sys
import tomllib
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tfchain.devchain import genesis as genesis_file
from tfchain.devchain.chain import DevChain
from tfchain.devchain.export import export
from tfchain.devchain.rpc.server import Server
from tfchain.devchain.store import Store, StoreError
from tfchain.devchain.versions import Versions

app = typer.Typer(add_completion=False)


SECTION = "devchain"
DATABASE = "chain.db"


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the file's values as defaults of the other options; wrong usage when it holds anything else."""
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise typer.BadParameter(f"{path}: {problem}") from problem
    values = content.pop(SECTION, {})
    if content or not isinstance(values, dict):
        raise typer.BadParameter(f"{path}: only the section [{SECTION}] is known, not {sorted(content)}")
    known = {str(parameter.name) for parameter in context.command.params} - {"config", "context"}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise typer.BadParameter(f"{path}: unknown key {key} in [{SECTION}]; {hint}")
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _variable(option: str) -> str:
    return f"ZOS_{SECTION}_{option}".upper()


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with a section [devchain].", is_eager=True, callback=_read_config),
    ] = None,
    state: Annotated[
        Path, typer.Option(help="Folder of the database; made when missing.", envvar=_variable("state"))
    ] = Path("tfchain-dev"),
    host: Annotated[str, typer.Option(help="Address to listen on.", envvar=_variable("host"))] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port for WebSocket and HTTP.", envvar=_variable("port")),
    ] = 9944,
    genesis: Annotated[
        Path | None,
        typer.Option(help="Genesis file (JSON); the database keeps to it.", envvar=_variable("genesis")),
    ] = None,
    control: Annotated[
        bool,
        typer.Option(
            "--dev",
            "--control",
            help="Serve the dev_* methods, with which tests drive time and state.",
            envvar=_variable("control"),
        ),
    ] = False,
    keep: Annotated[
        int,
        typer.Option(min=0, help="Keep the state of so many blocks; 0 for all.", envvar=_variable("keep")),
    ] = 0,
    no_billing: Annotated[
        bool, typer.Option("--no-billing", help="Never bill contracts.", envvar=_variable("no_billing"))
    ] = False,
    block_time: Annotated[
        float | None,
        typer.Option(
            min=0.05,
            max=600,
            help="Make a block every so many seconds; default: whenever there is something for it.",
            envvar=_variable("block_time"),
        ),
    ] = None,
) -> None:
    """A chain of one process: blocks at once, state in one SQLite file."""
    if context.invoked_subcommand is not None:
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(_serve(state, host, port, genesis, control, keep, not no_billing, block_time))
    except (StoreError, genesis_file.GenesisError, OSError) as problem:
        _fail(str(problem))


@app.command("export")
def export_state(
    state: Annotated[Path, typer.Option(help="Folder of the database.", envvar=_variable("state"))] = Path(
        "tfchain-dev"
    ),
) -> None:
    """Print the newest state as a genesis file, with which another chain can begin."""
    try:
        file = _database(state)
        if not file.exists():
            _fail(f"there is no chain in {state}")
        store = Store(file)
        made = export(store, Versions(store).current)
        store.close()
    except (StoreError, genesis_file.GenesisError, OSError) as problem:
        _fail(str(problem))
    print(made.model_dump_json(indent=1, exclude_defaults=True))


def _database(state: Path) -> Path:
    """The database of a state folder; a file is taken as it is."""
    return state if state.suffix == ".db" or state.is_file() else state / DATABASE


async def _serve(
    state: Path,
    host: str,
    port: int,
    genesis: Path | None,
    control: bool,
    keep: int,
    bills: bool,
    block_time: float | None,
) -> None:
    store = Store(_database(state))
    chain = DevChain(store, genesis_file.load(genesis), keep_blocks=keep, bills=bills, block_time=block_time)
    server = Server(chain, control=control)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start(host, port)
    logging.getLogger(__name__).info(
        "listening on ws://%s:%s, genesis 0x%s, block %s",
        host, server.port, chain.genesis_hash.hex(), chain.head.header.number,
    )  # fmt: skip
    sealing = asyncio.create_task(chain.run())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({sealing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await server.close()
    for task in (sealing, stopped):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sealing
    chain.close()


def _fail(reason: str) -> NoReturn:
    print(f"tfchain-dev: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def main() -> None:
    """Console script."""
    app()


if __name__ == "__main__":
    main()
