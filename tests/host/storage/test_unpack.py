"""Unpacking archives of strangers as root: what is kept, and that nothing ever gets out of the target."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import stat
import struct
import sys
import tarfile
from pathlib import Path

import pytest

from provisioners.images.archive_rules import Limits
from provisioners.images.errors import ImageError
from provisioners.images.unpack import unpack_confined
from provisioners.system.pools import Pools
from provisioners.system.root_volumes import QuotaRootVolumes
from tests.host.storage.archive import ArchiveWriter
from tests.host.storage.conftest import MIB, workload_id
from tests.host.storage.program import attempt, run
from tests.shared import cases, report_count

pytestmark = pytest.mark.root

LIMITS = Limits(bytes=64 * MIB, entries=1000, seconds=20)
CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    shield = tmp_path / "shield"
    (shield / "root").mkdir(parents=True)
    shield.chmod(0o700)
    return shield / "root"


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveWriter:
    return ArchiveWriter(tmp_path / "image.tar")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that every hostile archive is after."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    victim.chmod(0o600)
    return victim


def untouched(outside: Path) -> bool:
    status = outside.stat()
    return (
        outside.read_text() == "untouched"
        and stat.S_IMODE(status.st_mode) == 0o600
        and status.st_nlink == 1
        and status.st_uid == 0
    )


async def test_owners_modes_links_and_capabilities_are_kept(archive: ArchiveWriter, target: Path) -> None:
    entries = cases("B087")["input"]["entries"]
    for entry in entries:
        owner = {"uid": entry.get("uid", 0), "gid": entry.get("gid", 0)}
        match entry["type"]:
            case "dir":
                archive.folder(entry["path"], mode=int(entry["mode"], 8), **owner)
            case "symlink":
                archive.symlink(entry["path"], entry["to"], **owner)
            case "hardlink":
                archive.hardlink(entry["path"], entry["to"])
            case "file":
                headers = {}
                if "xattr" in entry:
                    value = CAP_NET_RAW.decode("utf-8", "surrogateescape")
                    headers = {"SCHILY.xattr.security.capability": value}
                archive.add(entry["path"], b"x", mode=int(entry["mode"], 8), pax_headers=headers, **owner)
    await unpack_confined(archive.close(), target, LIMITS)
    for entry in entries:
        status = (target / entry["path"]).lstat()
        if entry["type"] == "hardlink":
            assert status.st_ino == (target / entry["to"]).stat().st_ino
            continue
        assert (status.st_uid, status.st_gid) == (entry["uid"], entry["gid"])
        if entry["type"] == "symlink":
            assert os.readlink(target / entry["path"]) == entry["to"]
        else:
            assert stat.S_IMODE(status.st_mode) == int(entry["mode"], 8)
    assert os.getxattr(target / "bin/ping", "security.capability") == CAP_NET_RAW
    report_count("B087 entries of an image", len(entries))


async def test_a_real_archive_comes_out_as_gnu_tar_writes_it(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "source"
    run("cp", "-a", "/etc", source)
    (source / ("long" * 60)).write_text("name")
    (source / "dünn\udcff").write_text("bytes that are no text")
    with (source / "sparse").open("wb") as file:
        file.truncate(8 * MIB)
        file.seek(4 * MIB)
        file.write(b"middle")
    os.setxattr(source / "sparse", "user.note", b"kept\n=\x00\xff")
    image = tmp_path / "image.tar"
    for options in (["--format=gnu", "-S"], ["--format=pax", "-S", "--xattrs"]):
        run("tar", "-cf", image, *options, "-C", source, ".")
        await unpack_confined(image, target, Limits())
        differences = attempt("diff", "-r", "--no-dereference", source, target)
        assert differences.stdout == ""
        assert stat.S_IMODE((target / "shadow").stat().st_mode) == stat.S_IMODE(
            Path("/etc/shadow").stat().st_mode
        )
        assert int((target / "passwd").stat().st_mtime) == int(Path("/etc/passwd").stat().st_mtime)
    assert os.getxattr(target / "sparse", "user.note") == b"kept\n=\x00\xff"


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd", None])
async def test_every_common_compression(
    archive: ArchiveWriter, target: Path, tmp_path: Path, program: str | None
) -> None:
    image = archive.add("etc/hello", b"hello" * 100_000).close()
    if program is not None:
        packed = tmp_path / "packed"
        run("sh", "-c", f"{program} -c < {image} > {packed}")
        image = packed
    await unpack_confined(image, target, LIMITS)
    assert (target / "etc/hello").read_bytes() == b"hello" * 100_000
    folder = (target / "etc").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid) == (0o755, 0, 0)


async def test_what_an_earlier_try_left_is_gone(archive: ArchiveWriter, target: Path, outside: Path) -> None:
    (target / "half").mkdir()
    (target / "half/file").touch()
    (target / "link").symlink_to(outside.parent)
    await unpack_confined(archive.add("new").close(), target, LIMITS)
    assert [entry.name for entry in target.iterdir()] == ["new"]
    assert untouched(outside)


@pytest.mark.parametrize("name", ["../victim", "a/../../victim", "/../victim", "./../victim", "a/.."])
async def test_names_that_lead_up_refuse_the_archive(
    archive: ArchiveWriter, target: Path, outside: Path, name: str
) -> None:
    with pytest.raises(ImageError, match=r"the image is refused: entry .* leads out of the image"):
        await unpack_confined(archive.add(name, b"evil").close(), target, LIMITS)
    assert untouched(outside)
    assert list(target.iterdir()) == []


async def test_an_absolute_name_counts_from_the_target(
    archive: ArchiveWriter, target: Path, outside: Path
) -> None:
    await unpack_confined(archive.add(str(outside), b"evil").close(), target, LIMITS)
    assert untouched(outside)
    assert (target / str(outside)[1:]).read_bytes() == b"evil"


async def test_writing_through_links_stays_inside(
    archive: ArchiveWriter, target: Path, outside: Path
) -> None:
    folder = outside.parent
    archive.folder(str(folder)[1:])
    archive.symlink("absolute", str(folder)).add("absolute/victim", b"evil")
    archive.symlink("up", "../" * 40 + str(folder)[1:]).add("up/victim", b"evil")
    archive.symlink("file", str(outside)).add("file", b"evil")
    archive.symlink("a", "b").symlink("b", str(folder)).folder("a", mode=0o777)
    await unpack_confined(archive.close(), target, LIMITS)
    assert untouched(outside)
    assert (target / "file").read_bytes() == b"evil"
    assert not (target / "file").is_symlink()
    assert (target / str(outside)[1:]).read_bytes() == b"evil"


async def test_a_link_to_nowhere_has_nothing_below_it(
    archive: ArchiveWriter, target: Path, outside: Path
) -> None:
    archive.symlink("away", str(outside.parent)).add("away/victim", b"evil")
    with pytest.raises(ImageError, match="cannot be unpacked: File exists at '/away'"):
        await unpack_confined(archive.close(), target, LIMITS)
    assert untouched(outside)


async def test_a_loop_of_links_is_an_error_not_a_hang(archive: ArchiveWriter, target: Path) -> None:
    with pytest.raises(ImageError, match="cannot be unpacked"):
        await unpack_confined(archive.symlink("a", "b").symlink("b", "a").add("a/x").close(), target, LIMITS)


@pytest.mark.parametrize("name", ["/etc/passwd", "victim", "../victim"])
async def test_hard_links_to_what_is_not_in_the_image(
    archive: ArchiveWriter, target: Path, outside: Path, name: str
) -> None:
    with pytest.raises(ImageError, match="the image is refused"):
        await unpack_confined(archive.hardlink("x", name).close(), target, LIMITS)
    assert untouched(outside)


async def test_a_hard_link_through_a_symbolic_one_stays_inside(
    archive: ArchiveWriter, target: Path, outside: Path
) -> None:
    archive.symlink("up", str(outside.parent)).hardlink("x", "up/victim").add("x", b"evil")
    with pytest.raises(ImageError, match="not in the image"):
        await unpack_confined(archive.close(), target, LIMITS)
    assert untouched(outside)


async def test_devices_are_left_out(archive: ArchiveWriter, target: Path) -> None:
    archive.add("dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666)
    archive.add("dev/mem", type=tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666)
    archive.add("run/pipe", type=tarfile.FIFOTYPE, mode=0o6622).add("etc/file")
    await unpack_confined(archive.close(), target, LIMITS)
    assert not (target / "dev").exists()
    assert stat.S_ISFIFO((target / "run/pipe").stat().st_mode)
    assert stat.S_IMODE((target / "run/pipe").stat().st_mode) == 0o622


async def test_a_setuid_program_is_only_unpacked_where_no_user_reaches_it(
    archive: ArchiveWriter, target: Path
) -> None:
    image = archive.add("su", b"x", mode=0o4755).close()
    target.parent.chmod(0o755)
    with pytest.raises(ValueError, match="nosuid mount"):
        await unpack_confined(image, target, LIMITS)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
async def test_a_bomb_stops_at_the_limit(
    archive: ArchiveWriter, target: Path, tmp_path: Path, program: str
) -> None:
    bomb = archive.add("zeroes", bytes(100 * MIB)).close()
    packed = tmp_path / "packed"
    run("sh", "-c", f"{program} -1 -c < {bomb} > {packed}")
    assert packed.stat().st_size < MIB
    with pytest.raises(ImageError, match=f"unpacks to more than {LIMITS.bytes} bytes"):
        await unpack_confined(packed, target, LIMITS)


async def test_a_tree_deeper_than_any_path_is_removed_again(
    archive: ArchiveWriter, target: Path, tmp_path: Path
) -> None:
    long = "/".join(["d"] * 400)
    archive.folder(long).symlink("l0", long)
    for number in range(7):
        archive.folder(f"l{number}/{long}").symlink(f"l{number + 1}", f"l{number}/{long}")
    image = archive.close()
    for _ in range(2):
        await unpack_confined(image, target, Limits())
    assert os.path.lexists(target / "l7")
    await unpack_confined(ArchiveWriter(tmp_path / "flat.tar").add("a").close(), target, Limits())
    assert os.listdir(target) == ["a"]


async def test_a_sparse_file_cannot_pretend_to_be_small(target: Path, tmp_path: Path) -> None:
    hole = tmp_path / "in"
    hole.mkdir()
    with (hole / "huge").open("wb") as file:
        file.truncate(1 << 42)
    for kind in ("gnu", "pax"):
        image = tmp_path / f"{kind}.tar"
        run("tar", "-cSf", image, f"--format={kind}", "-C", hole, ".")
        with pytest.raises(ImageError, match="unpacks to more than"):
            await unpack_confined(image, target, LIMITS)


async def test_a_header_that_wants_all_memory_is_refused(target: Path, tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 3 << 30
    image = tmp_path / "greedy.tar"
    image.write_bytes(header.tobuf(tarfile.USTAR_FORMAT))
    os.truncate(image, 4 << 30)
    with pytest.raises(ImageError, match="MemoryError"):
        await unpack_confined(image, target, Limits())


async def test_too_many_entries_are_refused(archive: ArchiveWriter, target: Path) -> None:
    for number in range(LIMITS.entries + 1):
        archive.add(f"f{number}")
    with pytest.raises(ImageError, match="more than 1000 entries"):
        await unpack_confined(archive.close(), target, LIMITS)


@pytest.fixture
def endless(archive: ArchiveWriter) -> Path:
    """An archive with a padding that takes minutes to read, and no room on disk."""
    image = archive.add("a").close()
    os.truncate(image, 1 << 42)
    return image


PATIENT = Limits(bytes=1 << 43, entries=10, seconds=1)


async def test_an_image_that_never_ends_is_given_up(endless: Path, target: Path) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(ImageError, match="not unpacked within 1 s"):
            await unpack_confined(endless, target, PATIENT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"no archive at all" * 1000,
        lambda data: data[:700],
        lambda data: data[:1536],
        lambda data: data[:1024] + b"\xff" * 512 + data[1536:],
        lambda data: data[: len(data) // 2 // 512 * 512],
    ],
)
async def test_what_is_cut_off_or_damaged_is_no_image(
    archive: ArchiveWriter, target: Path, tmp_path: Path, damage: object
) -> None:
    data = archive.add("a", b"a" * 100).add("b", b"b" * 20_000).close().read_bytes()
    image = tmp_path / "damaged"
    assert callable(damage)
    image.write_bytes(damage(data))
    with pytest.raises(ImageError, match=r"not a readable tar archive|archive is empty"):
        await unpack_confined(image, target, LIMITS)


async def test_a_damaged_compression_says_so(archive: ArchiveWriter, target: Path, tmp_path: Path) -> None:
    data = gzip.compress(archive.add("a", os.urandom(100_000)).close().read_bytes())
    image = tmp_path / "damaged.tar.gz"
    image.write_bytes(data[:-2000])
    with pytest.raises(ImageError, match=r"cannot be decompressed: .*unexpected end of file"):
        await unpack_confined(image, target, LIMITS)


async def test_a_header_with_a_negative_size_does_not_hang(archive: ArchiveWriter, target: Path) -> None:
    image = archive.add("a", b"x").close()
    data = bytearray(image.read_bytes())
    data[124:136] = b"\xff" * 10 + b"\xfe\x00"  # base 256, negative
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    image.write_bytes(data)
    with pytest.raises(ImageError, match="the image is refused"):
        await unpack_confined(image, target, LIMITS)


async def test_a_file_and_a_folder_of_the_same_name(archive: ArchiveWriter, target: Path) -> None:
    archive.folder("x").add("x/y").add("x", b"evil")
    with pytest.raises(ImageError, match="is a folder and a file"):
        await unpack_confined(archive.close(), target, LIMITS)


async def test_an_image_larger_than_its_root_says_so(
    archive: ArchiveWriter, pools: Pools, tmp_path: Path
) -> None:
    roots = QuotaRootVolumes(pools)
    volume = await roots.ensure(workload_id("vm"), 16 * MIB)
    for number in range(20):
        archive.add(f"f{number}", os.urandom(MIB))
    with pytest.raises(ImageError, match="does not fit into the root file system; ask for a larger one"):
        await unpack_confined(archive.close(), volume.path, LIMITS)
    larger = await roots.ensure(workload_id("vm"), 64 * MIB)
    await unpack_confined(archive.path, larger.path, LIMITS)


async def test_a_cancelled_unpacking_leaves_no_process(endless: Path, target: Path) -> None:
    before = _children()
    task = asyncio.create_task(unpack_confined(endless, target, PATIENT))
    await asyncio.sleep(0.5)
    assert _children() - before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() == before


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_the_unpacker_sees_and_may_nothing_else(target: Path) -> None:
    """What a broken unpacker could do: run the cage with a program of our own."""
    script = (
        "import json, os, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).resolve().parents[3])!r})\n"
        "from provisioners.images import cage\n"
        f"cage.enter({str(target)!r}, cpu_seconds=5)\n"
        "seen = {'root': os.listdir('/'), 'pid': os.getpid(), 'descriptors': []}\n"
        "for number in range(3, 100):\n"
        "    try: os.fstat(number); seen['descriptors'].append(number)\n"
        "    except OSError: pass\n"
        "def tried(act):\n"
        "    try: act(); return 'done'\n"
        "    except OSError as error: return error.errno\n"
        "seen['mknod'] = tried(lambda: os.mknod('/sda', 0o60600, os.makedev(8, 0)))\n"
        "seen['chroot'] = tried(lambda: os.chroot('/'))\n"
        "seen['fork'] = tried(os.fork)\n"
        "seen['kill'] = tried(lambda: os.kill(%d, 0))\n"
        "seen['setuid'] = tried(lambda: os.setuid(1))\n"
        "print(json.dumps(seen))\n"
    ) % os.getpid()
    (target / "inside").touch()
    seen = json.loads(run(sys.executable, "-I", "-S", "-c", script))
    assert seen == {
        "root": ["inside"],
        "pid": 1,
        "descriptors": [],
        "mknod": 1,
        "chroot": 1,
        "fork": 11,
        "kill": 3,
        "setuid": 1,
    }
