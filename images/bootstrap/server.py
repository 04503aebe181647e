"""The HTTP side of the loader service."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from importlib import resources
from pathlib import Path

import structlog
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from images.bootstrap.address import FORMATS, OCTETS, AddressError, Wanted, ipxe_script, parse
from images.bootstrap.patched import Patched, Slot, find_slot, patched, plain
from images.bootstrap.signed import Signer
from images.debian import ImageError
from images.manifest import NAME, SIGNATURE, Artefact, Manifest
from images.node.slot_text import SlotTextError

log = structlog.get_logger(__name__)

FarmName = Callable[[str, int], Awaitable[str | None]]
"""Name of a farm of a run mode's chain, None when there is none.  Raises LookupError when it cannot be asked."""

MOST_KEPT = 256
"""Downloads whose slot and hash are remembered."""
HASHERS = 2
"""Hashes of whole images that are made at once."""
PROGRAM = "node.efi"
SIGNED = {"uefi": ".efi", "uefimg": ".img"}
"""Formats that a signer changes, and how their files end."""
KERNEL_FILES = ("vmlinuz", "initrd")


class Service:
    """Serves one release.  `farm_name` asks the chain, `key` signs checksums, `signer` programs for Secure Boot."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        modes: Collection[str],
        farm_name: FarmName,
        key: Ed25519PrivateKey,
        signer: Signer | None = None,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._modes = tuple(modes)
        self._farm_name = farm_name
        self._key = key
        self._signer = signer
        self._slots: dict[str, Slot] = {}
        self._kept: OrderedDict[tuple[str, str], Patched] = OrderedDict()
        self._hashes: OrderedDict[str, str] = OrderedDict()
        self._hashing = asyncio.Semaphore(HASHERS)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 16)
        app.router.add_get("/", self._page)
        app.router.add_get("/farm/{mode}/{farm}", self._farm)
        app.router.add_get("/release", self._release)
        app.router.add_get("/release.pub", self._public_key)
        app.router.add_get("/kernel/{name}", self._kernel)
        for name in (NAME, SIGNATURE):
            app.router.add_get(f"/{name}", self._beside)
        app.router.add_get("/{tail:.+}", self._image)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        text = resources.files("images.bootstrap").joinpath("page.html").read_text()
        options = "".join(f'<option value="{mode}">{mode}</option>' for mode in self._modes)
        formats = "".join(
            f'<li><a data-format="{each.name}">{each.title}</a> <small>{each.firmware}</small></li>'
            for each in FORMATS.values()
        )
        page = text.replace("@MODES@", options).replace("@FORMATS@", formats)
        return web.Response(
            text=page.replace("@VERSION@", self._manifest.version),
            content_type="text/html",
            headers={
                "Content-Security-Policy": "default-src 'self' 'unsafe-inline'",
                "X-Content-Type-Options": "nosniff",
            },
        )

    async def _farm(self, request: web.Request) -> web.Response:
        mode = request.match_info["mode"]
        try:
            wanted = parse(["ipxe", mode, request.match_info["farm"]], self._modes)
            name = await self._farm_name(mode, wanted.farm)
        except AddressError as problem:
            return web.json_response({"error": str(problem)}, status=problem.status)
        except LookupError as problem:
            return web.json_response({"error": str(problem)}, status=503)
        if name is None:
            return web.json_response({"error": f"there is no farm {wanted.farm} on {mode}"}, status=404)
        return web.json_response({"farm": wanted.farm, "name": name, "mode": mode})

    async def _release(self, request: web.Request) -> web.Response:
        artefacts = [{"name": a.name, "size": a.size, "sha256": a.sha256} for a in self._manifest.artefacts]
        return web.json_response({"version": self._manifest.version, "artefacts": artefacts})

    async def _public_key(self, request: web.Request) -> web.Response:
        return web.Response(text=f"{self._key.public_key().public_bytes_raw().hex()}\n")

    async def _beside(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(self._folder / request.path.removeprefix("/"))

    async def _kernel(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        artefact = self._manifest.find(name)
        if name not in KERNEL_FILES or artefact is None:
            raise web.HTTPNotFound(
                text=f"there is no kernel file {name[:60]!r}; there are {', '.join(KERNEL_FILES)}\n"
            )
        return await self._send(request, plain(self._folder / name, artefact.sha256), name)

    async def _image(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = parse(request.match_info["tail"].split("/"), self._modes)
            if wanted.format.name == "ipxe":
                return self._script(request, wanted)
            content = await self._content(wanted)
        except AddressError as problem:
            return web.Response(status=problem.status, text=f"{problem}\n")
        except SlotTextError as problem:
            return web.Response(status=400, text=f"{problem}\n")
        except ImageError as problem:
            log.error("a download cannot be signed", why=str(problem))
            return web.Response(status=503, text="this download cannot be signed now; try again later\n")
        if "sha256" in request.query or "signature" in request.query:
            return await self._checksum(request, content, wanted.name)
        return await self._send(request, content, wanted.name, wanted.format.content_type)

    async def _content(self, wanted: Wanted) -> Patched:
        artefact = self._manifest.find(wanted.format.file)
        if artefact is None:
            raise AddressError(404, f"this release has no {wanted.format.file}")
        file = self._folder / artefact.name
        if wanted.format.name == "krn":
            return plain(file, artefact.sha256)
        program = self._manifest.find(PROGRAM)
        if self._signer is not None and program is not None and wanted.format.name in SIGNED:
            return await self._signer.get(await self._patched(program, wanted), SIGNED[wanted.format.name])
        return await self._patched(artefact, wanted)

    async def _patched(self, artefact: Artefact, wanted: Wanted) -> Patched:
        file = self._folder / artefact.name
        key = (artefact.name, wanted.words)
        if key not in self._kept:
            if artefact.name not in self._slots:
                self._slots[artefact.name] = await asyncio.to_thread(find_slot, file)
            self._kept[key] = patched(self._slots[artefact.name], artefact.sha256, wanted.words)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _script(self, request: web.Request, wanted: Wanted) -> web.Response:
        base = f"{request.scheme}://{request.host}"
        text = ipxe_script(wanted, base, self._manifest.version)
        return web.Response(
            text=text, headers={"ETag": f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'}
        )

    async def _checksum(self, request: web.Request, content: Patched, name: str) -> web.Response:
        """`?sha256`: a line as sha256sum prints it; `?signature`: the service's signature over that line, in hex."""
        if content.etag not in self._hashes:
            async with self._hashing:
                self._hashes[content.etag] = await asyncio.to_thread(content.sha256)
            while len(self._hashes) > MOST_KEPT:
                self._hashes.popitem(last=False)
        line = f"{self._hashes[content.etag]}  {name}\n"
        if "signature" in request.query:
            return web.Response(text=f"{self._key.sign(line.encode()).hex()}\n")
        return web.Response(text=line)

    async def _send(
        self, request: web.Request, content: Patched, name: str, content_type: str = OCTETS
    ) -> web.StreamResponse:
        etag = f'"{content.etag}"'
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Type": content_type,
        }
        asked = request.headers.get("If-None-Match", "")
        if asked == "*" or etag in [each.strip().removeprefix("W/") for each in asked.split(",")]:
            return web.Response(status=304, headers={"ETag": etag})
        start, stop, status = 0, content.size, 200
        if request.headers.get("If-Range", etag) == etag and "Range" in request.headers:
            try:
                found = request.http_range
                start, stop, _ = slice(found.start, found.stop).indices(content.size)
            except ValueError:
                start, stop = 1, 0
            if start >= stop:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{content.size}"})
            if found.start is not None:
                status = 206
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = stop - start
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        pieces = content.chunks(start, stop)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                await response.write(piece)
        except ConnectionResetError:
            log.info("download ended by the client", name=name)
            return response
        await response.write_eof()
        return response
