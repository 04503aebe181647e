"""Run the front of a grid; part of `zos grid up`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import zosd
from devgrid.front import certificates, names
from devgrid.front.snapshot import View
from devgrid.front.tls import Terminator
from devgrid.front.web import Front, serve
from tfchain import Chain


def main() -> None:
    wanted = argparse.ArgumentParser(prog="devgrid.front", description=__doc__)
    wanted.add_argument("--certificates", type=Path, required=True, help="folder of authority and key")
    wanted.add_argument("--listen", required=True, help="address of the TLS side")
    wanted.add_argument("--port", type=int, default=443)
    wanted.add_argument("--relay", required=True, help="address:port")
    wanted.add_argument("--relay-name", required=True)
    wanted.add_argument("--chain", required=True, help="address:port")
    wanted.add_argument("--activation", required=True, help="URL")
    wanted.add_argument("--features", default="", help="what the nodes offer, comma-separated")
    wanted.add_argument("--socket", type=Path, required=True, help="of the plain side")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(run(wanted.parse_args()))


async def run(given: argparse.Namespace) -> None:
    domains = (names.DOMAIN, names.KYC)
    found = certificates.ensure(given.certificates, domains, names.ALL, datetime.now(UTC))
    relay, chain_port = _address(given.relay), _address(given.chain)
    services = {
        given.relay_name: partial(asyncio.open_connection, *relay),
        names.CHAIN: partial(asyncio.open_connection, *chain_port),
    }
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Chain([f"ws://{given.chain}"]) as chain:
        features = [part for part in given.features.split(",") if part]
        front = Front(View(chain), features, given.activation, zosd.__version__)
        plain = await serve(front, given.socket)
        terminator = Terminator(found, services, partial(asyncio.open_unix_connection, given.socket))
        await terminator.start(given.listen, given.port)
        logging.getLogger("front").info("listening on %s:%d", given.listen, given.port)
        await stop.wait()
        await terminator.close()
        await plain.cleanup()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
