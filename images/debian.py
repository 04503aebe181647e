"""Fetch Debian packages into a cache and unpack them there, without installing any.

apt checks every download against the signed package lists of the machine's own sources.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DOWNLOAD_TIMEOUT_S = 600
UNPACK_TIMEOUT_S = 120


class ImageError(Exception):
    """An image cannot be made; the message says what failed and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """One downloaded package."""

    name: str
    version: str
    file: str
    """Name of the .deb inside the cache folder."""
    sha256: str


class PackageCache:
    """A folder of .deb files with a record of which package name gave which file.

    A name that was fetched once is answered from the record, without a network, until the file is removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "packages.json"

    def fetch(self, names: Sequence[str], apt: Sequence[str] = ()) -> dict[str, Package]:
        """Return a package for each of `names`, downloading those that the cache lacks.

        Options for `apt` that name sources of their own let it fetch their lists before.  Raises ImageError with
        the last lines that apt printed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._read()
        missing = [name for name in names if name not in known]
        if missing:
            if apt:
                run_tool(["apt-get", *apt, "update", "--quiet"], DOWNLOAD_TIMEOUT_S)
            known |= self._download(missing, apt)
            self._write(known)
        return {name: known[name] for name in names}

    def kernel(self, meta: str) -> Package:
        """Return the kernel image package that the meta package `meta` stands for now."""
        for package in self._read().values():
            if is_kernel(package.name, meta):
                return package
        return next(iter(self.fetch([real_kernel(meta)]).values()))

    def unpack(self, package: Package, target: Path) -> None:
        """Unpack the package's files below `target`; maintainer scripts do not run."""
        run_tool(["dpkg-deb", "--extract", str(self.folder / package.file), str(target)], UNPACK_TIMEOUT_S)

    def _download(self, names: Sequence[str], apt: Sequence[str] = ()) -> dict[str, Package]:
        run_tool(["apt-get", *apt, "download", "--quiet", *names], DOWNLOAD_TIMEOUT_S, cwd=self.folder)
        found: dict[str, Package] = {}
        for name in names:
            files = sorted(self.folder.glob(f"{name}_*.deb"), key=lambda file: file.stat().st_mtime_ns)
            if not files:
                raise ImageError(f"apt-get download {name} ended well but left no file in {self.folder}")
            file = files[-1]
            version = run_tool(["dpkg-deb", "--field", str(file), "Version"], 30).strip()
            found[name] = Package(name, version, file.name, sha256_file(file))
        return found

    def _read(self) -> dict[str, Package]:
        try:
            entries = json.loads(self._record.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        packages = [Package(**entry) for entry in entries]
        return {p.name: p for p in packages if (self.folder / p.file).is_file()}

    def _write(self, packages: dict[str, Package]) -> None:
        write_atomically(
            self._record, json.dumps([asdict(packages[name]) for name in sorted(packages)], indent=1).encode()
        )


def is_kernel(name: str, meta: str) -> bool:
    """Whether `name` is a versioned kernel of the flavour that `meta` stands for."""
    flavour = re.escape(meta.removeprefix("linux-image"))
    return re.fullmatch(rf"linux-image-\d[\d.]*-\d+{flavour}", name) is not None


def real_kernel(meta: str) -> str:
    """The versioned package behind a kernel meta package, for example `linux-image-6.1.0-1-cloud-amd64`."""
    command = ["apt-cache", "show", "--no-all-versions", meta]
    try:
        shown = run_tool(command, 60)
    except ImageError:
        run_tool(["apt-get", "update", "-qq"], DOWNLOAD_TIMEOUT_S)
        shown = run_tool(command, 60)
    return kernel_dependency(shown)


def kernel_dependency(shown: str) -> str:
    """Find the versioned kernel in the text that `apt-cache show` printed for a meta package."""
    found = re.search(r"^Depends:.*?(linux-image-\d[^\s,(]*)", shown, re.MULTILINE)
    if not found:
        raise ImageError("the kernel meta package names no linux-image dependency; run apt-get update")
    return found[1]


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def run_tool(
    command: Sequence[str], timeout: float, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return what it printed.  Raises ImageError with its last lines."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise ImageError(f"{command[0]} is missing; images are made on a Debian machine") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"{' '.join(command[:3])} took more than {timeout:.0f} s") from None
    if done.returncode != 0:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise ImageError(f"{' '.join(command[:3])} … ended with status {done.returncode}: {tail}")
    return done.stdout
