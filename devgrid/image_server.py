"""The grid's image server: one folder of root file system archives over HTTP."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web


class ImageServer:
    """Serves the files of a folder, read only, without listing it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the address is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        app = web.Application()
        app.router.add_static("/", self.folder)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
