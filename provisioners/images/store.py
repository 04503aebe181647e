"""The node's image store."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from provisioners.images.addresses import AddressPolicy, Network
from provisioners.images.archive_rules import Limits
from provisioners.images.blobs import BlobCache, Ref
from provisioners.images.download import Download, Downloader, DownloadLimits, Validators
from provisioners.images.errors import ImageError, ImageUnreachable
from provisioners.images.own_ranges import own_ranges
from provisioners.images.shared_work import SharedWork
from provisioners.images.source import BadSource, ImageSource, parse_source
from provisioners.images.unpack import unpack_confined

log = structlog.get_logger(__name__)

_CHUNK = 1 << 20
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What the operator says about images."""

    policy: AddressPolicy = field(default_factory=AddressPolicy)
    file_roots: Sequence[Path] = ()
    """Folders below which `file://` addresses are allowed; none by default."""
    cache_bytes: int = 20 << 30
    download: DownloadLimits = field(default_factory=DownloadLimits)
    unpack: Limits = field(default_factory=Limits)


class ImageStore:
    """Implements `provisioners.protocol.Images`.

    An archive is fetched once for all who ask at the same time and kept under its SHA-256.  What is cached is used
    without the network when the address insists on its hash, and when its server cannot be reached.
    """

    def __init__(
        self, root: Path, config: ImageConfig, own: Callable[[], Iterable[Network]] = own_ranges
    ) -> None:
        self._config = config
        self._cache = BlobCache(root, config.cache_bytes)
        self._downloader = Downloader(config.policy, config.download, own)
        self._flights: SharedWork[tuple[str, str | None], Path] = SharedWork()
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def fetch(self, url: str) -> Path:
        """Path of the cached archive.  Raises ImageError, a WorkloadError that names address and cause."""
        try:
            source = parse_source(url)
        except BadSource as error:
            raise ImageError(str(error)) from error
        return await self._flights.run((source.url, source.sha256), lambda: self._fetch(source))

    async def unpack(self, archive: Path, target: Path) -> None:
        """Empty `target`, then unpack the archive confined to it.  Raises ImageError."""
        await unpack_confined(archive, target, self._config.unpack)

    async def _fetch(self, source: ImageSource) -> Path:
        try:
            async with self._slots:
                if source.sha256 is not None:
                    cached = self._cache.find(source.sha256)
                    return cached if cached is not None else await self._download(source, None)
                ref = self._cache.ref(source.url)
                cached = self._cache.find(ref.sha256) if ref is not None else None
                if ref is None or cached is None:
                    return await self._download(source, None)
                try:
                    return await self._download(source, ref)
                except ImageUnreachable as error:
                    log.warning("image taken from the cache", image=source.shown, reason=str(error))
                    return cached
        except OSError as error:
            raise ImageUnreachable(
                f"image at {source.shown} cannot be kept: {error.strerror} in this node's image cache"
            ) from error

    async def _download(self, source: ImageSource, ref: Ref | None) -> Path:
        """Fetch what the address holds now, or learn that it is still what `ref` says."""
        if source.scheme == "file":
            return await self._copy(source, ref)
        tries = 1 if ref is not None else None  # what is cached does not have to wait for long
        expected: tuple[str, str] | None
        if source.sha256 is not None:
            expected = ("sha256", source.sha256)
        else:
            expected = await self._downloader.sibling_hash(source, tries=tries)
        known = None
        if ref is not None:
            if expected in (("sha256", ref.sha256), ("md5", ref.md5)):
                return self._require_blob(ref)
            known = ref if expected is None else None
        with self._cache.new_file() as path:
            got = await self._downloader.fetch(
                source,
                path,
                known.validators if known else Validators(),
                tries=tries,
            )
            if got is None:
                return self._require_blob(ref)
            _require_hash(source, got, expected)
            return self._keep(source, path, got)

    async def _copy(self, source: ImageSource, ref: Ref | None) -> Path:
        """Take a file of this machine, from below the configured folders only."""
        origin = Path(source.path)
        try:
            real = origin.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise ImageError(f"Image not found at {source.shown}") from error
        if not any(real.is_relative_to(root.resolve()) for root in self._config.file_roots):
            raise ImageError(
                f"image at {source.shown}: files of the node are only allowed below configured folders"
            )
        if not real.is_file():
            raise ImageError(f"image at {source.shown} is not a regular file")
        status = real.stat()
        version = f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
        if ref is not None and ref.etag == version:
            return self._require_blob(ref)
        if status.st_size > self._config.download.bytes:
            raise ImageError(f"image at {source.shown} is larger than {self._config.download.bytes} bytes")
        with self._cache.new_file() as path:
            got = await asyncio.to_thread(_copy_file, real, path, Validators(etag=version))
            _require_hash(source, got, ("sha256", source.sha256) if source.sha256 else None)
            return self._keep(source, path, got)

    def _keep(self, source: ImageSource, path: Path, got: Download) -> Path:
        kept = self._cache.keep(path, got.sha256)
        version = got.validators
        self._cache.remember(Ref(source.url, got.sha256, got.md5, version.etag, version.modified))
        log.info("image fetched", image=source.shown, sha256=got.sha256, size=got.size)
        return kept

    def _require_blob(self, ref: Ref | None) -> Path:
        found = self._cache.find(ref.sha256) if ref is not None else None
        if found is None:
            raise ImageUnreachable("the cached image went away while it was looked at; it is fetched again")
        return found


def _require_hash(source: ImageSource, got: Download, expected: tuple[str, str] | None) -> None:
    if expected is None:
        return
    algorithm, wanted = expected
    found = got.sha256 if algorithm == "sha256" else got.md5
    if found != wanted:
        raise ImageError(
            f"image at {source.shown} has the {algorithm} {found}, but {wanted} was promised; it is not used"
        )


def _copy_file(origin: Path, target: Path, validators: Validators) -> Download:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with origin.open("rb") as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            sha256.update(chunk)
            md5.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Download(sha256.hexdigest(), md5.hexdigest(), size, validators)
