"""One service of a deployment as a process: `python -m oio.service.process --root FOLDER --name meta1-2`.

The first start takes a free port and writes it to `run/<name>.address`; later starts take the same one, because a
service is known by its address.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Final, Protocol

from oio.service.conscience.ensemble import Ensemble
from oio.service.conscience.server import Conscience, default_kinds
from oio.service.deployment import Deployment, location, role
from oio.service.meta import MetaService
from oio.service.proxy.server import ProxyServer
from oio.service.rdir.server import Rdir
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from oio.service.status import ServiceError

REGISTER_EVERY: Final = 1.0
"""Seconds between two registrations with the conscience."""


class Service(Protocol):
    """What a process runs."""

    async def start(self, host: str, port: int) -> str:
        """Listen; the address."""

    async def stop(self) -> None:
        """Stop."""


def build(deployment: Deployment, name: str) -> Service:
    """The service of that name; ValueError for an unknown role, and for a proxy before any conscience has started."""
    kind, secret = role(name), deployment.secret()
    if kind == "conscience":
        return Conscience(
            default_kinds(),
            deployment.description(),
            deployment.root / f"{name}.json",
            secret,
            lambda: deployment.consciences_known(but=name),
            deployment.host(name),
        )
    if kind == "proxy":
        settings = Settings(
            {
                "ns.meta1_digits": str(deployment.digits),
                "ns.service_update_policy": deployment.update_policy(),
            }
        )
        return ProxyServer(
            deployment.namespace,
            ",".join(deployment.consciences_known()),
            settings,
            secret,
            deployment.admin_secret(),
        )
    if kind in ("meta0", "meta1", "meta2"):
        folder = deployment.root / name
        return MetaService(
            kind,
            deployment.namespace,
            folder,
            deployment.leases(),
            deployment.ttl,
            secret,
            name if deployment.named else "",
            deployment.consciences_known(),
        )
    if kind == "rdir":
        return Rdir(deployment.root / name, secret)
    raise ValueError(f"no service is called {name!r}")


async def announce(deployment: Deployment, name: str, address: str) -> None:
    """Tell a conscience, again and again, that this service is up."""
    kind = role(name)
    tags = {
        "tag.up": True,
        "tag.loc": location(name),
        "tag.slots": kind,
        "tag.vol": str(deployment.root / name),
    }
    if deployment.named and kind != "proxy":
        tags["tag.service_id"] = name
    service = {"type": kind if kind != "proxy" else "oioproxy", "addr": address, "tags": tags}
    rpc = RpcClient(deployment.host(name), deployment.secret())
    consciences = Ensemble(deployment.consciences_known(), rpc)
    try:
        while True:
            with contextlib.suppress(ServiceError):
                await consciences.call("push", {"services": [service]}, 5.0)
            await asyncio.sleep(REGISTER_EVERY)
    finally:
        await rpc.close()


async def serve(deployment: Deployment, name: str) -> None:
    """Run one service until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    service = build(deployment, name)
    before = deployment.address_file(name)
    port = int(before.read_text().rpartition(":")[2]) if before.exists() else 0
    address = await service.start(deployment.host(name), port)
    coming = before.with_name(f"{before.name}.{os.getpid()}")
    coming.write_text(address)
    coming.replace(before)
    announcing = (
        asyncio.create_task(announce(deployment, name, address)) if role(name) != "conscience" else None
    )
    try:
        await ended.wait()
    finally:
        if announcing is not None:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)
        await service.stop()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="One service of a metadata directory.")
    parser.add_argument("--root", type=Path, required=True, help="folder of the deployment")
    parser.add_argument("--name", required=True, help="service, for example meta1-2")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(Deployment.load(options.root), options.name))


if __name__ == "__main__":
    main()
