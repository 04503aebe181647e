"""`rmb-peer`: carry messages between this machine's programs and other twins."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from rmb.errors import SettingsError
from rmb.log_setup import configure
from rmb.peer import daemon
from rmb.peer.config import PeerConfig
from rmb.settings import load
from tfchain.key_file import KeyFileError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM or SIGINT; exit status 0 then, 1 with one line of reason on stderr when it cannot run."""
    parser = argparse.ArgumentParser(prog="rmb-peer", description=__doc__)
    parser.add_argument("--config", type=Path, help="TOML file; every key also as ZOS_<SECTION>_<KEY>")
    options = parser.parse_args(arguments)
    try:
        config = load(PeerConfig, options.config)
        configure(config.log.level, config.log.format)
        uvloop.run(_until_told(config))
    except (SettingsError, KeyFileError) as error:
        print(f"rmb-peer: {error}", file=sys.stderr)
        sys.exit(1)


async def _until_told(config: PeerConfig) -> None:
    peer = asyncio.create_task(daemon.run(config))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, peer.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await peer


if __name__ == "__main__":
    main()
