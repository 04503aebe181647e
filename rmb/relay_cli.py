"""`rmb-relay`: the hub through which twins reach each other."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from rmb.errors import SettingsError
from rmb.log_setup import configure
from rmb.relay import relay
from rmb.relay.config import RelayConfig
from rmb.relay.stores.message_store import StoreUnavailable
from rmb.settings import load, variable

MOST_YOUNG = 50_000
"""Objects that the garbage collector lets come up before it looks: what a message needs goes without it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM or SIGINT; exit status 0 then, 1 with one line of reason on stderr when it cannot run."""
    options = _parser().parse_args(arguments)
    try:
        config = load(RelayConfig, options.config, {**os.environ, **_as_environment(options)})
        configure(config.log.level, config.log.format)
        uvloop.run(_until_told(config))
    except (SettingsError, StoreUnavailable, OSError) as problem:
        print(f"rmb-relay: {problem}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rmb-relay",
        description=__doc__,
        epilog="Flags win over the environment, and that over the file.",
    )
    add = parser.add_argument
    add("--config", type=Path, help="TOML file; every key also as ZOS_<SECTION>_<KEY>")
    add("-m", "--domain", nargs="+", action="extend", help="our own host names")
    add("-r", "--redis", help="redis://host:port shared by our processes; default: a file of our own")
    add(
        "--redis-cluster",
        action="store_true",
        help="it is a Redis Cluster; --redis names nodes between commas",
    )
    add("-s", "--substrate", nargs="+", action="extend", help="addresses of the chain")
    add("-l", "--listen", help="address:port (default [::]:8080)")
    add("-w", "--workers", type=int, help="times --user-per-worker is the most sessions")
    add("-u", "--user-per-worker", type=int, help="see --workers")
    add(
        "--limit",
        nargs=2,
        type=int,
        metavar=("COUNT", "SIZE"),
        help="messages and bytes of a twin in a minute",
    )
    add(
        "-p",
        "--ranker-period",
        "--ranker_period",
        type=float,
        help="seconds for which a relay's failure counts",
    )
    add("--catchup-threshold", type=int, help="accepted for compatibility; missed blocks are always read")
    add("--store", type=Path, help="file in which messages wait without Redis")
    add("--store-always", action="store_true", help="keep every message before it is handed over")
    add("-d", "--debug", action="count", default=0)
    return parser


def _as_environment(options: argparse.Namespace) -> dict[str, str]:
    """The flags that were given, as the variables of the keys that they stand for."""
    given: dict[tuple[str, str], Any] = {
        ("relay", "domains"): options.domain,
        ("relay", "listen"): options.listen,
        ("chain", "urls"): options.substrate,
        ("store", "redis"): options.redis,
        ("store", "cluster"): True if options.redis_cluster else None,
        ("store", "file"): str(options.store) if options.store else None,
        ("store", "always"): True if options.store_always else None,
        ("ranker", "period"): options.ranker_period,
        ("log", "level"): "debug" if options.debug else None,
    }
    if options.workers is not None or options.user_per_worker is not None:
        workers, users = options.workers, options.user_per_worker
        given["relay", "sessions"] = (500 if workers is None else workers) * (
            1000 if users is None else users
        )
    if options.limit:
        given["limit", "count"], given["limit", "size"] = options.limit
    texts = {}
    for (section, key), value in given.items():
        if value is not None:
            texts[variable(section, key)] = value if isinstance(value, str) else json.dumps(value)
    return texts


async def _until_told(config: RelayConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gc.collect()
    gc.freeze()
    gc.set_threshold(MOST_YOUNG, *gc.get_threshold()[1:])
    await relay.run(config, stop)


if __name__ == "__main__":
    main()
