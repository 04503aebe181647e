"""Fetch a file over HTTP, from addresses that the policy allows only, within limits.

The check is made on the address of each connection as it is opened, so a name that resolves to something else the
second time, or a redirect, gains nothing.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp

from provisioners.images.addresses import AddressPolicy, AddressRefused, Network
from provisioners.images.errors import ImageError, ImageUnreachable
from provisioners.images.source import BadSource, ImageSource, parse_sibling, parse_source

T = TypeVar("T")

_CHUNK = 1 << 20
_MAX_SIBLING = 4096
_GONE = (404, 410)
_NO_SIBLING = (*_GONE, 400, 401, 403, 405)
_TEMPORARY = (408, 425, 429)
_NOT_MODIFIED = 304
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Bounds on one download; times in seconds."""

    bytes: int = 8 << 30
    total: float = 1800.0
    connect: float = 10.0
    stall: float = 60.0
    """Without a byte."""
    redirects: int = 5
    tries: int = 3


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server tells about a version of a file, to ask later whether it is still the same."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Download:
    """A file that came whole."""

    sha256: str
    md5: str
    size: int
    validators: Validators


class Downloader:
    """HTTP client of the image store.  `own` lists the node's and its farm's ranges at the time of a call."""

    def __init__(
        self, policy: AddressPolicy, limits: DownloadLimits, own: Callable[[], Iterable[Network]]
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._own = own

    async def sibling_hash(self, source: ImageSource, *, tries: int | None = None) -> tuple[str, str] | None:
        """(algorithm, hex) of the first of `.sha256` and `.md5` that the server has.  Raises ImageError."""
        for algorithm in ("sha256", "md5"):
            work = partial(self._small_file, source, source.sibling(algorithm))
            text = await self._persist(tries, work)
            found = parse_sibling(text, algorithm) if text is not None else None
            if found is not None:
                return algorithm, found
        return None

    async def fetch(
        self, source: ImageSource, target: Path, known: Validators = Validators(), *, tries: int | None = None
    ) -> Download | None:
        """Download into `target`; None when the server says that the `known` version is still right.

        Raises ImageError, or ImageUnreachable after the last try.
        """

        async def once() -> Download | None:
            try:
                async with asyncio.timeout(self._limits.total):
                    return await self._fetch_once(source, target, known)
            except TimeoutError as error:
                raise ImageUnreachable(
                    f"image at {source.shown} did not come within {self._limits.total:g} s"
                ) from error

        return await self._persist(tries, once)

    async def _persist(self, tries: int | None, work: Callable[[], Awaitable[T]]) -> T:
        """Try again, after growing pauses, what may only fail this time."""
        for attempt in range(1, tries or self._limits.tries):
            try:
                return await work()
            except ImageUnreachable:
                await asyncio.sleep(2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        return await work()

    async def _fetch_once(self, source: ImageSource, target: Path, known: Validators) -> Download | None:
        async with self._get(source, source.url, known.headers()) as response:
            if response.status == _NOT_MODIFIED:
                return None
            _require_ok(source, response)
            self._require_size(source, response.content_length or 0, target)
            return await self._save(source, response, target)

    async def _save(self, source: ImageSource, response: aiohttp.ClientResponse, target: Path) -> Download:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with target.open("wb") as file:
            async for chunk in response.content.iter_chunked(_CHUNK):
                size += len(chunk)
                self._require_size(source, size, None)
                sha256.update(chunk)
                md5.update(chunk)
                with _keeping(source):
                    file.write(chunk)
            with _keeping(source):
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        validators = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
        return Download(sha256.hexdigest(), md5.hexdigest(), size, validators)

    def _require_size(self, source: ImageSource, size: int, target: Path | None) -> None:
        if size > self._limits.bytes:
            raise ImageError(f"image at {source.shown} is larger than {self._limits.bytes} bytes")
        if target is not None:
            room = os.statvfs(target.parent)
            if size > room.f_bavail * room.f_frsize:
                raise ImageUnreachable(
                    f"image at {source.shown} has {size} bytes, for which this node's image cache has no room"
                )

    async def _small_file(self, source: ImageSource, url: str) -> str | None:
        try:
            async with asyncio.timeout(self._limits.stall):
                async with self._get(source, url, {}) as response:
                    if response.status in _NO_SIBLING:
                        return None
                    _require_ok(source, response)
                    return (await response.content.read(_MAX_SIBLING)).decode("ascii", "replace")
        except TimeoutError as error:
            raise ImageUnreachable(f"the hash of image {source.shown} did not come in time") from error

    @asynccontextmanager
    async def _get(
        self, source: ImageSource, url: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follow redirects by hand, each hop checked like the first; every request has a connection of its own."""
        for _ in range(self._limits.redirects + 1):
            hop = _hop(source, url)
            async with self._session(hop) as session:
                try:
                    async with session.get(hop.url, headers=headers, allow_redirects=False) as response:
                        if response.status not in _REDIRECTS:
                            yield response
                            return
                        url = urljoin(hop.url, response.headers.get("Location", ""))
                except AddressRefused as error:
                    raise ImageError(f"image at {source.shown} is not fetched: {error}") from error
                except TimeoutError as error:
                    raise ImageUnreachable(
                        f"image at {source.shown} cannot be fetched: {hop.host} does not answer in time"
                    ) from error
                except (aiohttp.ClientError, OSError) as error:
                    raise _unreachable(source, error) from error
        raise ImageError(f"image at {source.shown}: more than {self._limits.redirects} redirects")

    def _session(self, hop: ImageSource) -> aiohttp.ClientSession:
        own = tuple(self._own())

        def checked_socket(info: Any) -> socket.socket:
            family, kind, protocol, _, address = info
            self._policy.check(hop.host, hop.port, address[0], own)
            return socket.socket(family, kind, protocol)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=checked_socket, force_close=True, use_dns_cache=False
            ),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=self._limits.connect,
                sock_connect=self._limits.connect,
                sock_read=self._limits.stall,
            ),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )


@contextmanager
def _keeping(source: ImageSource) -> Iterator[None]:
    """Tell trouble with our own disk from trouble with the network."""
    try:
        yield
    except OSError as error:
        raise ImageError(
            f"image at {source.shown} cannot be kept: {error.strerror} in this node's image cache"
        ) from error


def _hop(source: ImageSource, url: str) -> ImageSource:
    try:
        hop = parse_source(url.partition("#")[0])
    except BadSource as error:
        raise ImageError(f"image at {source.shown} redirects badly: {error}") from error
    if hop.scheme == "file":
        raise ImageError(f"image at {source.shown} redirects to a file of this node")
    if source.scheme == "https" and hop.scheme != "https":
        raise ImageError(
            f"image at {source.shown} redirects from https to {hop.shown}; use the final address"
        )
    return hop


def _require_ok(source: ImageSource, response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    if status in _GONE:
        raise ImageError(f"Image not found at {source.shown} ({status})")
    text = f"image at {source.shown} cannot be fetched: the server answers {status} {response.reason or ''}".rstrip()
    if status >= 500 or status in _TEMPORARY:
        raise ImageUnreachable(text)
    raise ImageError(text)


def _unreachable(source: ImageSource, error: Exception) -> ImageUnreachable:
    # asyncio puts its own words where the system's belong
    known = isinstance(error, OSError) and error.errno in errno.errorcode
    cause = os.strerror(error.errno or 0) if known and isinstance(error, OSError) else str(error)
    return ImageUnreachable(f"image at {source.shown} cannot be fetched: {cause or type(error).__name__}")
