"""The loader service: requests in a second and time to the first byte, beside a file server of the same library.

Needs the image (`make image`).  All over loopback, one client; the service and its client share the processors.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from aiohttp import ClientSession, web
from rich.console import Console
from rich.table import Table

from devgrid.bootstrap import cache_folder
from images import manifest
from images.bootstrap.server import Service

REQUESTS = 300
PARALLEL = 20


async def no_farm(mode: str, farm: int) -> str | None:
    return None


async def measure() -> Table:
    folder = cache_folder() / "node/image"
    release = manifest.read_signed(folder, manifest.public_keys([folder / "release.pub"]))
    table = Table("what", "service", "file server", box=None)
    with tempfile.TemporaryDirectory() as work:
        key = manifest.load_or_make_key(Path(work) / "key")
        app = Service(folder, release, ["dev"], no_farm, key).app()
        files = web.Application()
        files.router.add_static("/", folder)
        runners = [web.AppRunner(each, access_log=None) for each in (app, files)]
        urls = []
        for runner in runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with ClientSession() as client:
            ours, plain = f"{urls[0]}/uefimg/dev/7", f"{urls[1]}/node.img"
            await _get(client, ours, whole=False)  # the slot is searched once for each release
            first = [await _first_bytes(client, url) for url in (ours, plain)]
            table.add_row("time to first byte, ms (median)", *(f"{value * 1e3:.2f}" for value, _ in first))
            table.add_row("requests in a second", *(f"{rate:.0f}" for _, rate in first))
            flow = [await _flow(client, url, release) for url in (ours, plain)]
            table.add_row(f"{PARALLEL} whole downloads at once, MB/s", *(f"{value:.0f}" for value in flow))
        for runner in runners:
            await runner.cleanup()
    return table


async def _get(client: ClientSession, url: str, *, whole: bool) -> float:
    started = time.perf_counter()
    headers = {} if whole else {"Range": "bytes=0-1023"}
    async with client.get(url, headers=headers) as answer:
        await answer.content.readany()
        first = time.perf_counter() - started
        async for _ in answer.content.iter_chunked(1 << 20):
            pass
    return first


async def _first_bytes(client: ClientSession, url: str) -> tuple[float, float]:
    started = time.perf_counter()
    times = [await _get(client, url, whole=False) for _ in range(REQUESTS)]
    return statistics.median(times), REQUESTS / (time.perf_counter() - started)


async def _flow(client: ClientSession, url: str, release: manifest.Manifest) -> float:
    size = next(each.size for each in release.artefacts if each.name == "node.img")
    started = time.perf_counter()
    await asyncio.gather(*(_get(client, url, whole=True) for _ in range(PARALLEL)))
    return PARALLEL * size / (time.perf_counter() - started) / 1e6


def main() -> int:
    if not (cache_folder() / "node/image/manifest.txt").exists():
        print("no image: run `make image` first", file=sys.stderr)
        return 1
    Console().print(asyncio.run(measure()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
