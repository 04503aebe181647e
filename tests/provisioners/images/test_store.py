"""The image store against a real HTTP server."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from provisioners.images.addresses import AddressPolicy
from provisioners.images.download import DownloadLimits
from provisioners.images.errors import ImageError, ImageUnreachable
from provisioners.images.store import ImageConfig, ImageStore
from provisioners.system.command import run
from tests.provisioners.images.server import Server, serving

IMAGE = b"an image" * 1000
SHA256 = hashlib.sha256(IMAGE).hexdigest()

MakeStore = Callable[..., ImageStore]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        server.files["/i.tar"] = IMAGE
        yield server


@pytest.fixture
def make_store(tmp_path: Path, server: Server) -> MakeStore:
    """A store that may talk to the server by its address; `limits` as for DownloadLimits."""

    def make(**limits: float) -> ImageStore:
        policy = AddressPolicy(frozenset({f"127.0.0.1:{server.port}"}))
        bounds = DownloadLimits(**({"tries": 1, "connect": 2.0, "stall": 1.0} | limits))  # type: ignore[arg-type]  # mixed numbers
        config = ImageConfig(policy, file_roots=[tmp_path / "files"], download=bounds)
        return ImageStore(tmp_path / "cache", config, own=lambda: [])

    return make


async def test_an_image_is_fetched_once_and_kept_by_its_content(
    server: Server, make_store: MakeStore
) -> None:
    store = make_store()
    path = await store.fetch(server.url("/i.tar"))
    assert path.read_bytes() == IMAGE
    assert path.name == SHA256
    assert await store.fetch(server.url("/i.tar")) == path
    assert server.asked.count("200 /i.tar") == 1
    assert "304 /i.tar" in server.asked


async def test_many_who_ask_at_once_make_one_download(server: Server, make_store: MakeStore) -> None:
    store = make_store()
    paths = await asyncio.gather(*(store.fetch(server.url("/i.tar")) for _ in range(8)))
    assert len(set(paths)) == 1
    assert server.asked.count("200 /i.tar") == 1


async def test_a_new_version_at_the_same_address_is_fetched(server: Server, make_store: MakeStore) -> None:
    store = make_store()
    first = await store.fetch(server.url("/i.tar"))
    server.files["/i.tar"] = b"newer"
    second = await store.fetch(server.url("/i.tar"))
    assert (first.read_bytes(), second.read_bytes()) == (IMAGE, b"newer")


async def test_a_server_without_validators_is_asked_again(server: Server, make_store: MakeStore) -> None:
    server.validators = False
    store = make_store()
    assert await store.fetch(server.url("/i.tar")) == await store.fetch(server.url("/i.tar"))
    assert server.asked.count("200 /i.tar") == 2


async def test_what_is_cached_serves_while_the_server_is_away(server: Server, make_store: MakeStore) -> None:
    url = server.url("/i.tar")
    path = await make_store().fetch(url)

    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=503)

    server.answers |= {"/i.tar": broken, "/i.tar.sha256": broken}
    assert await make_store().fetch(url) == path
    with pytest.raises(ImageUnreachable, match="503"):
        await make_store().fetch(server.url("/i.tar?other"))


async def test_an_image_that_was_taken_away_is_not_found_even_if_cached(
    server: Server, make_store: MakeStore
) -> None:
    store = make_store()
    await store.fetch(server.url("/i.tar"))
    del server.files["/i.tar"]
    with pytest.raises(ImageError, match=r"Image not found at http://127.0.0.1:\d+/i.tar \(404\)"):
        await store.fetch(server.url("/i.tar"))


async def test_a_missing_image_is_named(server: Server, make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=r"^Image not found at http://127.0.0.1:\d+/none.tar \(404\)$"):
        await make_store().fetch(server.url("/none.tar"))


async def test_a_pinned_image_needs_no_network_once_it_is_here(server: Server, make_store: MakeStore) -> None:
    store = make_store()
    path = await store.fetch(server.url(f"/i.tar#sha256={SHA256}"))
    asked = len(server.asked)
    assert await store.fetch(server.url(f"/elsewhere.tar#sha256={SHA256}")) == path
    assert len(server.asked) == asked


async def test_content_that_is_not_the_pinned_one_is_refused(server: Server, make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=f"has the sha256 {SHA256}, but {'0' * 64} was promised"):
        await make_store().fetch(server.url(f"/i.tar#sha256={'0' * 64}"))


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
async def test_a_hash_beside_the_image_is_checked(
    server: Server, make_store: MakeStore, algorithm: str
) -> None:
    right = hashlib.new(algorithm, IMAGE).hexdigest()
    server.files[f"/i.tar.{algorithm}"] = f"{right}  i.tar\n".encode()
    store = make_store()
    await store.fetch(server.url("/i.tar"))
    await store.fetch(server.url("/i.tar"))
    assert server.asked.count("200 /i.tar") == 1
    assert "304 /i.tar" not in server.asked  # the hash alone told
    server.files[f"/i.tar.{algorithm}"] = right.translate(
        str.maketrans("0123456789abcdef", "123456789abcdef0")
    ).encode()
    with pytest.raises(ImageError, match=f"has the {algorithm} {right}"):
        await store.fetch(server.url("/i.tar"))


async def test_guarded_addresses_are_refused(server: Server, make_store: MakeStore) -> None:
    store = make_store()
    for host in ("localhost", "127.0.0.2", "[::1]", "0.0.0.0", "127.1", "2130706433"):
        with pytest.raises(ImageError, match=r"is not fetched|cannot be fetched"):
            await store.fetch(server.url("/i.tar", host))
    assert server.asked == []


async def test_a_redirect_to_a_guarded_address_is_refused(server: Server, make_store: MakeStore) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": server.url("/i.tar", "localhost")})

    server.answers["/moved.tar"] = elsewhere
    with pytest.raises(
        ImageError, match=r"is not fetched: localhost \((127.0.0.1|::1)\) is a loopback address"
    ):
        await make_store().fetch(server.url("/moved.tar"))
    assert "200 /i.tar" not in server.asked


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "redirects to a file"),
        ("ftp://hub.example/i.tar", "redirects badly"),
        ("", "more than 5 redirects"),
        ("/moved.tar", "more than 5 redirects"),
    ],
)
async def test_redirects_that_lead_nowhere(
    server: Server, make_store: MakeStore, location: str, reason: str
) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    server.answers["/moved.tar"] = elsewhere
    with pytest.raises(ImageError, match=reason):
        await make_store().fetch(server.url("/moved.tar"))


async def test_a_redirect_is_followed(server: Server, make_store: MakeStore) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/i.tar"})

    server.answers["/moved.tar"] = elsewhere
    assert (await make_store().fetch(server.url("/moved.tar"))).read_bytes() == IMAGE


async def test_an_image_that_is_too_large_stops(server: Server, make_store: MakeStore) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(bytes(1000))
        return response

    server.answers["/endless.tar"] = endless
    for name in ("/endless.tar", "/i.tar"):  # without and with an announced length
        with pytest.raises(ImageError, match="larger than 5000 bytes"):
            await make_store(bytes=5000).fetch(server.url(name))


async def test_a_server_that_falls_silent_is_given_up(server: Server, make_store: MakeStore) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.sleep(1)
        return response

    server.answers["/silent.tar"] = silent
    with pytest.raises(ImageUnreachable, match="does not answer in time"):
        await make_store(stall=0.2).fetch(server.url("/silent.tar"))
    with pytest.raises(ImageUnreachable, match=r"did not come within 0.2 s"):
        await make_store(total=0.2, stall=5.0).fetch(server.url("/silent.tar"))


async def test_a_download_that_breaks_off_is_not_kept(
    server: Server, make_store: MakeStore, tmp_path: Path
) -> None:
    async def short(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        if request.transport is not None:
            request.transport.abort()
        return response

    server.answers["/short.tar"] = short
    with pytest.raises(ImageUnreachable, match="cannot be fetched"):
        await make_store().fetch(server.url("/short.tar"))
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


async def test_trouble_that_passes_is_tried_again(server: Server, make_store: MakeStore) -> None:
    failures = [500]

    async def flaky(request: web.Request) -> web.Response:
        return web.Response(status=failures.pop()) if failures else web.Response(body=IMAGE)

    server.answers["/flaky.tar"] = flaky
    assert (await make_store(tries=3).fetch(server.url("/flaky.tar"))).read_bytes() == IMAGE


async def test_a_refusal_is_not_tried_again(server: Server, make_store: MakeStore) -> None:
    async def forbidden(request: web.Request) -> web.Response:
        return web.Response(status=403)

    server.answers["/secret.tar"] = forbidden
    with pytest.raises(ImageError, match="403 Forbidden"):
        await make_store(tries=3).fetch(server.url("/secret.tar"))
    assert server.asked.count("403 /secret.tar") == 1


async def test_nobody_listens(server: Server, make_store: MakeStore, tmp_path: Path) -> None:
    store = ImageStore(
        tmp_path,
        ImageConfig(AddressPolicy(frozenset({"127.0.0.1"})), download=DownloadLimits(tries=1)),
        own=lambda: [],
    )
    with pytest.raises(
        ImageUnreachable, match=r"image at http://127.0.0.1:1/i.tar cannot be fetched: Connection refused"
    ):
        await store.fetch("http://127.0.0.1:1/i.tar")


async def test_files_only_from_below_the_configured_folder(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "i.tar").write_bytes(IMAGE)
    (tmp_path / "outside.tar").write_bytes(b"secret")
    (folder / "link.tar").symlink_to(tmp_path / "outside.tar")
    path = await store.fetch(f"file://{folder}/i.tar")
    assert path.read_bytes() == IMAGE
    assert await store.fetch(f"file://{folder}/i.tar") == path
    (folder / "i.tar").write_bytes(b"newer")
    assert (await store.fetch(f"file://{folder}/i.tar")).read_bytes() == b"newer"
    for name in ("../outside.tar", "link.tar"):
        with pytest.raises(ImageError, match="only allowed below configured folders"):
            await store.fetch(f"file://{folder}/{name}")
    with pytest.raises(ImageError, match="Image not found at file://"):
        await store.fetch(f"file://{folder}/none.tar")
    with pytest.raises(ImageError, match="not a regular file"):
        await store.fetch(f"file://{folder}/")


async def test_a_cache_that_vanished_is_made_again(
    server: Server, make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store()
    await store.fetch(server.url("/i.tar"))
    shutil.rmtree(tmp_path / "cache")
    assert (await store.fetch(server.url("/i.tar"))).read_bytes() == IMAGE


async def test_an_unusable_cache_is_an_error_of_the_workload(
    server: Server, make_store: MakeStore, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(ImageUnreachable, match="in this node's image cache"):
        await make_store().fetch(server.url("/i.tar"))


async def test_an_address_that_is_none(make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match="use https://"):
        await make_store().fetch("debian-12")


@pytest.mark.root
async def test_a_full_disk_under_the_cache_is_told_from_the_network(
    server: Server, make_store: MakeStore, tmp_path: Path
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(bytes(1 << 20))
        return response

    server.answers["/endless.tar"] = endless
    (tmp_path / "cache").mkdir()
    await run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path / "cache"))
    try:
        with pytest.raises(
            ImageError, match="cannot be kept: No space left on device in this node's image cache"
        ):
            await make_store().fetch(server.url("/endless.tar"))
    finally:
        await run("umount", str(tmp_path / "cache"))
