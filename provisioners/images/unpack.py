"""Start the two programs that unpack an archive, and read their answers.

    archive ──▶ gzip | bzip2 | xz | zstd as nobody ──▶ unpacker in its cage ──▶ target

Both read what a stranger wrote, so neither has more than it needs, and both die with the daemon.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import stat
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from provisioners.images.archive_rules import Limits
from provisioners.images.errors import ImageError
from provisioners.images.notepad import Notepad
from provisioners.system.command import last_lines

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip", "gzip"),
    (b"BZh", "bzip2", "bzip2"),
    (b"\xfd7zXZ\x00", "xz", "xz-utils"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd"),
)
"""(first bytes, program, Debian package)."""
_NOBODY = "65534"
_DECOMPRESSOR_MEMORY = 1 << 30
_STOPPED_BY_READER = (-13, 141)
_PROJECT = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from provisioners.images.unpacker import main; sys.exit(main(sys.argv[1:]))"
)
_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT)


def compression(head: bytes) -> tuple[str, str] | None:
    """(program, Debian package) that decompresses a file that starts like this; None for a plain one (pure)."""
    for magic, program, package in _MAGIC:
        if head.startswith(magic):
            return program, package
    return None


async def unpack_confined(archive: Path, target: Path, limits: Limits) -> None:
    """Empty `target`, then unpack into it.

    Raises ImageError for whatever is wrong with the archive or does not fit, ValueError when programs in `target`
    could be run by users of this machine, RuntimeError when the unpacker itself fails.
    """
    _require_shielded(target)
    with archive.open("rb", buffering=0) as file:  # the programs go on reading where we stop
        tool = compression(file.read(8))
        file.seek(0)
        try:
            async with asyncio.timeout(limits.seconds):
                answer, complaint = await _run(file.fileno(), tool, target, limits)
        except TimeoutError as error:
            raise ImageError(f"the image was not unpacked within {limits.seconds} s") from error
    if complaint is not None:
        raise ImageError(f"the image cannot be decompressed: {complaint}")
    if "refused" in answer:
        raise ImageError(f"the image is refused: {answer['refused']}")
    if answer.get("errno") in _SPACE_ERRORS:
        raise ImageError("the image does not fit into the root file system; ask for a larger one")
    if "failed" in answer:
        raise ImageError(f"the image cannot be unpacked: {answer['failed']}")


async def _run(
    archive: int, tool: tuple[str, str] | None, target: Path, limits: Limits
) -> tuple[dict[str, object], str | None]:
    """(the unpacker's answer, the decompressor's complaint)."""
    if tool is None:
        return await _unpack(archive, target, limits), None
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", 0) as reader, os.fdopen(write_end, "wb", 0) as writer, Notepad() as said:
        async with _decompressor(tool, archive, writer.fileno(), said) as decompressor:
            writer.close()
            answer = await _unpack(reader.fileno(), target, limits)
            reader.close()  # it may still be writing
            status = await decompressor.wait()
        if status in (0, *_STOPPED_BY_READER):
            return answer, None
        return answer, last_lines(said.text()) or f"exit status {status}"


@asynccontextmanager
async def _decompressor(
    tool: tuple[str, str], source: int, sink: int, said: Notepad
) -> AsyncIterator[Process]:
    program, package = tool
    path = shutil.which(program)
    if path is None:
        raise ImageError(f"the image needs {program}, which this node lacks (Debian package {package})")
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--ipc"),
        *("prlimit", f"--as={_DECOMPRESSOR_MEMORY}", "--core=0"),
        *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"),
        *("--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL"),
        *(path, "-dc"),
        stdin=source,
        stdout=sink,
        stderr=said.descriptor,
    )
    async with _owned(process):
        yield process


async def _unpack(tar: int, target: Path, limits: Limits) -> dict[str, object]:
    with Notepad() as said, Notepad() as complaint:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-X", "utf8", "-c", _START),
            *(str(_PROJECT), str(target), json.dumps(asdict(limits))),
            stdin=tar,
            stdout=said.descriptor,
            stderr=complaint.descriptor,
        )
        async with _owned(process):
            status = await process.wait()
        try:
            answer = json.loads(said.text())
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RuntimeError(f"the unpacker ended with status {status}: {last_lines(complaint.text())}")
        return answer


@asynccontextmanager
async def _owned(process: Process) -> AsyncIterator[None]:
    """Nobody outlives the call."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _require_shielded(target: Path) -> None:
    """A setuid program of an image must never be one for the users of this machine."""
    if os.statvfs(target).f_flag & os.ST_NOSUID:
        return
    parent = target.parent.stat()
    if parent.st_uid == os.geteuid() and not stat.S_IMODE(parent.st_mode) & 0o077:
        return
    raise ValueError(f"{target} has to lie on a nosuid mount, or in a folder that only its owner can enter")
