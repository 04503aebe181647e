"""The Python packages of the image: the hash-locked wheels that the node needs, and our own."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from images.debian import ImageError, run_tool

PROJECT = Path(__file__).resolve().parents[2]
OWN = "zosd"
PIP_TIMEOUT_S = 900
UNUSED = re.compile(
    r"(^|/)(smoldot_light|tests?|testing)/|\.(c|h|pyx|pxd|pyi)$|\.dist-info/(RECORD|INSTALLER|direct_url\.json)$"
    r"|(^|/)__pycache__/|^(images/(node|bootstrap|testnode|rootfs)|client|devgrid|oio|dynamo)/"
)
"""Files that nothing on a node opens: a light client of 24 MB that is never imported, sources of extensions, tests."""


def needed(start: str = OWN) -> list[str]:
    """Names of all packages that ours needs at run time, by what is installed here, sorted."""
    found: set[str] = set()
    todo = [(start, frozenset[str]())]
    while todo:
        name, extras = todo.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))
            key = canonical(requirement.name)
            if wanted and key not in found:
                found.add(key)
                todo.append((requirement.name, frozenset(requirement.extras)))
    return sorted(found)


def canonical(name: str) -> str:
    """A package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def subset(lock: str, names: Iterable[str]) -> str:
    """The entries of a lock file for `names`, hashes included.  Raises ImageError for one that is not locked."""
    blocks: dict[str, str] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE)):
        if found := re.match(r"([A-Za-z0-9._-]+)==", block):
            blocks[canonical(found[1])] = block.rstrip()
    missing = sorted(set(names) - blocks.keys())
    if missing:
        raise ImageError(f"not in requirements.lock: {', '.join(missing)}; run `make lock`")
    return "\n".join(blocks[name] for name in sorted(set(names))) + "\n"


def download(cache: Path) -> list[Path]:
    """Fetch the locked wheels that the cache lacks; pip compares every hash.  Raises ImageError."""
    cache.mkdir(parents=True, exist_ok=True)
    wanted = subset((PROJECT / "requirements.lock").read_text(), needed())
    stamp = cache / "wanted.txt"
    if not (stamp.exists() and stamp.read_text() == wanted):
        for old in cache.glob("*.whl"):
            old.unlink()
        fresh = cache / "wanted.new"
        fresh.write_text(wanted)
        run_tool(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps",
             "--no-build-isolation", "--require-hashes", "--wheel-dir", str(cache), "--requirement", str(fresh)],
            PIP_TIMEOUT_S,
        )  # fmt: skip
        fresh.replace(stamp)
    return sorted(cache.glob("*.whl"))


def own(folder: Path) -> Path:
    """Build the wheel of this project into `folder`.  Raises ImageError."""
    run_tool(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps",
         "--no-build-isolation", "--wheel-dir", str(folder), str(PROJECT)],
        PIP_TIMEOUT_S,
    )  # fmt: skip
    found = sorted(folder.glob(f"{OWN}-*.whl"))
    if len(found) != 1:
        raise ImageError(f"pip built {len(found)} wheels of {OWN} in {folder}, one was expected")
    return found[0]


def unzip(wheels: Iterable[Path], target: Path) -> Mapping[str, str]:
    """Unpack wheels, nothing is run; returns version by name.  Raises ImageError for a path that leads out."""
    versions: dict[str, str] = {}
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        versions[canonical(name)] = version
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or UNUSED.search(entry.filename):
                    continue
                path = (target / _place(entry.filename)).resolve()
                if not path.is_relative_to(target.resolve()):
                    raise ImageError(f"{wheel.name} holds a path that leads out: {entry.filename}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
                path.chmod(0o644)
    return versions


def _place(name: str) -> str:
    """Where a file of a wheel goes: packages as they are, `data` parts below their purelib."""
    found = re.match(r"[^/]+\.data/(purelib|platlib)/(.*)", name)
    return found[2] if found else name


def own_version() -> str:
    """Version of this project."""
    return metadata.version(OWN)
