"""The loader service over HTTP, with a small release."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from images import manifest
from images.boot.settings import load_modes, read_settings
from images.boot.sources import Source, merge
from images.bootstrap.address import AddressError, extra_words, farm_number, parse
from images.bootstrap.server import Service
from images.node import slot_text, uki

MODES = ("prod", "test", "dev", "qa")
FILES = {
    "node.img": b"\0" * 70_000 + slot_text.command_line(uki.BASE_LINE) + b"\1" * 3_000_000,
    "node.efi": b"\0" * 100 + slot_text.command_line(uki.BASE_LINE) + b"\2" * 9000,
    "node.iso": b"\3" * 4096 + slot_text.farm_file() + b"\3" * 9000,
    "vmlinuz": b"kernel",
    "initrd": b"initrd",
}


async def farm_name(mode: str, farm: int) -> str | None:
    if mode == "qa":
        raise LookupError("the chain of qa does not answer now; try again")
    return {7: "seven <b>"}.get(farm)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[str]:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    key = manifest.load_or_make_key(tmp_path / "key")
    release = manifest.describe(tmp_path, FILES, "1.0", 1)
    manifest.sign(tmp_path, release, key)
    runner = web.AppRunner(Service(tmp_path, release, MODES, farm_name, key).app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def web_client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.mark.parametrize("format", ["uefimg", "uefi", "iso", "usb"])
async def test_every_format_carries_the_words_in_order_and_twice_the_same(
    service: str, web_client: ClientSession, format: str
) -> None:
    address = f"{service}/{format}/dev/7/missing-ssd a=b___c"
    bodies = []
    for _ in range(2):
        async with web_client.get(address) as answer:
            assert answer.status == 200
            bodies.append(await answer.read())
    assert b"runmode=dev farmer_id=7 missing-ssd a=b/c" in bodies[0]
    assert bodies[0] == bodies[1]
    found = read_settings(merge({Source.COMMAND_LINE: "runmode=dev farmer_id=7 missing-ssd"}), load_modes())
    assert (found.farm, found.missing_ssd) == (7, True)


async def test_parts_and_conditions(service: str, web_client: ClientSession) -> None:
    address = f"{service}/uefimg/dev/7"
    async with web_client.get(address) as answer:
        whole, etag = await answer.read(), answer.headers["ETag"]
    assert len(whole) == len(FILES["node.img"])
    for asked, part in (
        ("bytes=0-9", whole[:10]),
        ("bytes=69990-72100", whole[69990:72101]),
        ("bytes=-5", whole[-5:]),
        (f"bytes={len(whole) - 3}-", whole[-3:]),
    ):
        async with web_client.get(address, headers={"Range": asked}) as answer:
            assert answer.status == 206
            assert await answer.read() == part
    async with web_client.get(address, headers={"Range": f"bytes={len(whole)}-"}) as answer:
        assert answer.status == 416
    async with web_client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"other"'}) as answer:
        assert answer.status == 200
        assert await answer.read() == whole
    async with web_client.get(address, headers={"If-None-Match": f'"x", {etag}'}) as answer:
        assert answer.status == 304
    async with web_client.head(address) as answer:
        assert answer.headers["Content-Length"] == str(len(whole))
    async with web_client.get(f"{service}/uefimg/dev/8") as answer:
        assert answer.headers["ETag"] != etag


async def test_a_firmware_that_boots_by_http_sees_that_it_is_a_program(
    service: str, web_client: ClientSession
) -> None:
    for format, kind in (("uefi", "application/efi"), ("uefimg", "application/octet-stream")):
        async with web_client.head(f"{service}/{format}/dev/7") as answer:
            assert answer.headers["Content-Type"] == kind


async def test_checksum_and_signature_are_those_of_the_download(
    service: str, web_client: ClientSession
) -> None:
    address = f"{service}/iso/dev/7"
    async with web_client.get(address) as answer:
        whole = await answer.read()
    async with web_client.get(f"{address}?sha256") as answer:
        line = await answer.text()
    assert line == f"{hashlib.sha256(whole).hexdigest()}  node-dev-farm7.iso\n"
    async with web_client.get(f"{address}?signature") as answer:
        signature = bytes.fromhex((await answer.text()).strip())
    async with web_client.get(f"{service}/release.pub") as answer:
        public = bytes.fromhex((await answer.text()).strip())
    Ed25519PublicKey.from_public_bytes(public).verify(signature, line.encode())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/uefimg/main/7", 401),
        ("/uefimg/dev/0", 400),
        ("/uefimg/dev/abc", 400),
        ("/uefimg/dev/4294967296", 400),
        ('/uefimg/dev/7/a"b', 400),
        ("/uefimg/dev/7/farmer_id=9", 400),
        ("/uefimg/dev/7/" + "x" * 3000, 400),
        ("/uefimg/dev/7/a/other.efi", 404),
        ("/floppy/dev/7", 404),
        ("/uefimg", 404),
        ("/kernel/passwd", 404),
        ("/kernel/..%2Fkey", 404),
        ("/farm/dev/8", 404),
        ("/farm/main/7", 401),
        ("/farm/qa/7", 503),
    ],
)
async def test_wrong_addresses(service: str, web_client: ClientSession, path: str, status: int) -> None:
    async with web_client.get(service + path) as answer:
        assert answer.status == status
        assert "key" not in (await answer.text()).replace("keys", "") or status != 200


async def test_the_script_names_farm_and_release_before_it_touches_the_network(
    service: str, web_client: ClientSession
) -> None:
    async with web_client.get(f"{service}/ipxe/dev/7") as answer:
        script = await answer.text()
    assert script.startswith("#!ipxe\n")
    assert script.index("farm 7") < script.index("1.0") + 50 < script.index("dhcp")
    assert f"{service}/kernel/vmlinuz initrd=initrd" in script
    assert "runmode=dev farmer_id=7" in script
    for needed in ("/ip}", "/dns}", "/gateway}", "iseq ${round} 3", "sleep 20", "reboot"):
        assert needed in script
    async with web_client.get(f"{service}/kernel/initrd") as answer:
        assert await answer.read() == b"initrd"


async def test_the_farm_s_name_comes_from_the_chain(service: str, web_client: ClientSession) -> None:
    async with web_client.get(f"{service}/farm/dev/7") as answer:
        assert await answer.json() == {"farm": 7, "name": "seven <b>", "mode": "dev"}
    async with web_client.get(f"{service}/release") as answer:
        assert (await answer.json())["version"] == "1.0"
    async with web_client.get(f"{service}/manifest.txt") as answer:
        assert "node.img" in await answer.text()


def test_numbers_and_words_are_checked_without_a_server() -> None:
    assert farm_number("4294967295") == 4294967295
    assert extra_words("vlan:priv=302 a=b___c") == "vlan:priv=302 a=b/c"
    assert parse(["uefi", "dev"], MODES).words == "runmode=dev"
    for text in ("", "-1", "1e3", "٣"):
        with pytest.raises(AddressError):
            farm_number(text)
