"""Downloads that a firmware with Secure Boot starts, with a real EFI program and a real signature."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from images import manifest
from images.bootstrap.server import Service
from images.bootstrap.signed import Signer
from images.debian import ImageError
from images.node import slot_text, uki
from images.node.signed_program import sign
from tests.images import certificate
from tests.images.bootstrap.test_service import MODES, farm_name

PROGRAM = Path("/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi")
"""Any EFI program will do."""

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="grub-efi-amd64-bin is missing")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An EFI program with a farm slot."""
    line, target = tmp_path / "line", tmp_path / "node.efi"
    line.write_bytes(slot_text.command_line(uki.BASE_LINE))
    subprocess.run(
        ["objcopy", "--add-section", f".cmdline={line}", "--change-section-vma", ".cmdline=0x30000000",
         str(PROGRAM), str(target)],
        check=True, timeout=60,
    )  # fmt: skip
    return target


@pytest.fixture
async def service(tmp_path: Path, program: Path) -> AsyncIterator[str]:
    release = manifest.describe(tmp_path, [program.name], "1.0", 1)
    key, ours, _ = certificate.make(tmp_path)
    signer = Signer(key, ours, tmp_path / "signed", kept=2)
    checksums = manifest.load_or_make_key(tmp_path / "key")
    runner = web.AppRunner(Service(tmp_path, release, MODES, farm_name, checksums, signer).app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_words_are_covered_by_the_signature_and_a_few_are_kept(
    service: str, tmp_path: Path
) -> None:
    async with ClientSession() as client:

        async def get(farm: int) -> tuple[bytes, str]:
            async with client.get(f"{service}/uefi/dev/{farm}") as answer:
                assert answer.status == 200
                return await answer.read(), answer.headers["ETag"]

        first, tag = await get(7)
        assert (first, tag) == await get(7)
        bodies = await asyncio.gather(get(8), get(9), get(10))
        assert len({body for body, _ in bodies} | {first}) == 4
        assert len(list((tmp_path / "signed").glob("*.efi"))) == 2
    assert b"runmode=dev farmer_id=7" in first
    assert verified(first, tmp_path)
    assert not verified(first.replace(b"farmer_id=7", b"farmer_id=8"), tmp_path)


def test_what_is_no_program_is_not_signed(tmp_path: Path) -> None:
    key, ours, _ = certificate.make(tmp_path)
    (tmp_path / "x.iso").write_bytes(b"no program")
    with pytest.raises(ImageError, match="no EFI program"):
        sign(tmp_path / "x.iso", key, ours, tmp_path / "signed.efi")
    assert not (tmp_path / "signed.efi").exists()


def verified(program: bytes, folder: Path) -> bool:
    """Whether our certificate vouches for a program."""
    file = folder / "downloaded.efi"
    file.write_bytes(program)
    command = ["sbverify", "--cert", str(folder / "farm.pem"), str(file)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
