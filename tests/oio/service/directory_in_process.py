"""A whole directory inside the test: real services on real ports of loopback, in one loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from oio.service.conscience.server import Conscience, default_kinds
from oio.service.deployment import Deployment, initial_mapping
from oio.service.lease import LeaseStore
from oio.service.meta import DEFAULT_TTL, MetaService
from oio.service.proxy.server import ProxyServer
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from tests.oio.lease_stores import leases_in, make_leases

HOST = "127.0.0.1"


@dataclass
class Running:
    """Services that run, and a client of their proxy."""

    url: str
    session: aiohttp.ClientSession
    metas: dict[str, list[MetaService]] = field(default_factory=dict)
    conscience: str = ""
    started: list[Any] = field(default_factory=list)

    async def ask(
        self,
        method: str,
        path: str,
        query: Sequence[Sequence[str]] = (),
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and body (decoded where it is JSON) of one request; `path` begins with `/v3.0`."""
        async with self.session.request(
            method, self.url + path, params=[(k, v) for k, v in query], data=body, headers=headers
        ) as answer:
            raw = await answer.read()
            if answer.headers.get("Content-Type") == "application/json":
                return answer.status, json.loads(raw)
            return answer.status, raw.decode() if raw else None

    async def push(self, kind: str, addr: str, **tags: Any) -> None:
        """Register a service as an agent would."""
        body = json.dumps({"type": kind, "addr": addr, "tags": {"tag.up": True, **tags}})
        status, answer = await self.ask("POST", "/v3.0/OPENIO/conscience/register", body=body.encode())
        assert status == 204, answer


def leases_of(folder: Path, ttl: float = DEFAULT_TTL) -> LeaseStore:
    """The leases of the directory in `folder`."""
    return leases_in(folder, ttl)


@asynccontextmanager
async def directory(
    folder: Path,
    counts: dict[str, int],
    description: dict[str, Any] | None = None,
    ttl: float = DEFAULT_TTL,
    named: bool = False,
) -> AsyncIterator[Running]:
    """So many services of each type, with leases of `ttl` seconds, registered and bootstrapped with two digits.

    `named`: they have stable ids like `meta1-2`.
    """
    deployment = Deployment(folder)
    folder.mkdir(exist_ok=True)
    make_leases(folder)
    # Nobody registers again here, however long the test takes.
    kinds = {name: replace(kind, timeout=86400.0) for name, kind in default_kinds().items()}
    conscience = Conscience(kinds, description or deployment.description(), folder / "conscience.json")
    started: list[Any] = [conscience]
    rpc = RpcClient()
    try:
        address = await conscience.start(HOST, 0)
        proxy = ProxyServer("OPENIO", address, Settings())
        started.insert(0, proxy)
        url = f"http://{await proxy.start(HOST, 0)}"
        async with aiohttp.ClientSession() as session:
            running = Running(url, session, conscience=address, started=started)
            for kind, count in counts.items():
                for number in range(1, count + 1):
                    meta = MetaService(
                        kind,
                        "OPENIO",
                        folder / f"{kind}-{number}",
                        leases_of(folder, ttl),
                        ttl,
                        service_id=f"{kind}-{number}" if named else "",
                        consciences=[address],
                    )
                    started.insert(0, meta)
                    tags = {"tag.loc": f"site{number}.rack.host.vol{number}", "tag.slots": kind}
                    if named:
                        tags["tag.service_id"] = f"{kind}-{number}"
                    await running.push(kind, await meta.start(HOST, 0), **tags)
                    running.metas.setdefault(kind, []).append(meta)
            addresses = [meta.address for meta in running.metas["meta1"]]
            mapping = json.dumps(initial_mapping(addresses, min(3, len(addresses)), 2)).encode()
            # On a loaded machine an election takes longer than a request waits.
            async with asyncio.timeout(60):
                forced = (503, None)
                while forced[0] == 503:
                    forced = await running.ask("POST", "/v3.0/OPENIO/admin/meta0_force", body=mapping)
            assert forced == (204, None)
            yield running
    finally:
        for service in started:
            await service.stop()
        await rpc.close()
