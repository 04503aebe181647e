"""Archives damaged at random: the answer is always one of ours, and nothing ever happens outside of the target."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

import pytest

from provisioners.images.archive_rules import Limits
from provisioners.images.errors import ImageError
from provisioners.images.unpack import unpack_confined
from tests.host.storage.archive import ArchiveWriter

pytestmark = pytest.mark.root

LIMITS = Limits(bytes=1 << 24, entries=100, seconds=10)
BLOCK = 512
ROUNDS = 20
DAMAGE = (b"\xff", b"7", b"../", b"\x80" + b"\xff" * 11, b"\0")


def sound(path: Path, format: int) -> bytearray:
    archive = ArchiveWriter(path, format)
    archive.folder("etc").add("etc/a", b"x" * 700, uid=1000).symlink("l", "/etc").hardlink("h", "etc/a")
    archive.add("l/b", b"y")
    if format != tarfile.USTAR_FORMAT:
        archive.add("n" * 150 + "/" + "m" * 120, b"z")
    if format == tarfile.PAX_FORMAT:
        archive.add("p", b"q", pax_headers={"SCHILY.xattr.user.x": "1", "mtime": "nan"})
    return bytearray(archive.close().read_bytes())


def damage(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(12 * BLOCK)
        length = chance.randint(1, 12)
        pieces = (chance.randbytes(length), *(piece * length for piece in DAMAGE))
        data[start : start + length] = chance.choice(pieces)[:length]
    if chance.random() < 0.8:
        mend_checksums(data)


def mend_checksums(data: bytearray) -> None:
    """So that the damage gets past the first look."""
    for start in range(0, len(data) - BLOCK + 1, BLOCK):
        block = data[start : start + BLOCK]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            data[start + 148 : start + 156] = f"{sum(block):06o}\0 ".encode()


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
async def test_no_damage_makes_the_unpacker_fail(tmp_path: Path, format: int) -> None:
    shield = tmp_path / "shield"
    target = shield / "root"
    target.mkdir(parents=True)
    shield.chmod(0o700)
    base = sound(tmp_path / "base.tar", format)
    await unpack_confined(tmp_path / "base.tar", target, LIMITS)
    chance = random.Random(format)
    for number in range(ROUNDS):
        data = bytearray(base)
        damage(data, chance)
        image = tmp_path / "damaged.tar"
        image.write_bytes(data)
        try:
            await unpack_confined(image, target, LIMITS)
        except ImageError:
            continue
        except Exception as error:
            raise AssertionError(f"round {number}: {error}") from error
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["base.tar", "damaged.tar", "shield"]
    assert [entry.name for entry in shield.iterdir()] == ["root"]
