"""What an image consists of, signed: hashes and sizes of all artefacts, and the key that vouches for them.

`manifest.txt` has one line `key value` for version and epoch, then a line `sha256 size name` for each artefact.
`manifest.sig` is the detached Ed25519 signature over its bytes (64 bytes raw).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from images.debian import sha256_file

NAME, SIGNATURE = "manifest.txt", "manifest.sig"
MOST_BYTES = 65536
_ENTRY = re.compile(r"([0-9a-f]{64}) (\d{1,15}) ([A-Za-z0-9][A-Za-z0-9._-]{0,99})")


class ManifestError(ValueError):
    """A manifest, signature or artefact that is not what it should be; the message names it."""


@dataclass(frozen=True, slots=True)
class Artefact:
    name: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    version: str
    epoch: int
    artefacts: tuple[Artefact, ...]

    def to_text(self) -> str:
        lines = [f"version {self.version}", f"epoch {self.epoch}"]
        lines += [f"{each.sha256} {each.size} {each.name}" for each in self.artefacts]
        return "\n".join(lines) + "\n"

    def find(self, name: str) -> Artefact | None:
        return next((each for each in self.artefacts if each.name == name), None)


def parse(text: str) -> Manifest:
    """Raises ManifestError."""
    lines = text.splitlines()
    if len(text) > MOST_BYTES or len(lines) < 2:
        raise ManifestError("the manifest is too long or too short")
    head = [line.partition(" ") for line in lines[:2]]
    if [key for key, _, _ in head] != ["version", "epoch"] or not head[1][2].isdecimal():
        raise ManifestError("the manifest does not begin with version and epoch")
    artefacts = []
    for line in lines[2:]:
        found = _ENTRY.fullmatch(line)
        if found is None:
            raise ManifestError(f"the manifest has a line that is none: {line[:80]!r}")
        artefacts.append(Artefact(found[3], int(found[2]), found[1]))
    return Manifest(head[0][2], int(head[1][2]), tuple(artefacts))


def describe(folder: Path, names: Iterable[str], version: str, epoch: int) -> Manifest:
    """The manifest of files in a folder."""
    return Manifest(
        version,
        epoch,
        tuple(
            Artefact(name, (folder / name).stat().st_size, sha256_file(folder / name))
            for name in sorted(names)
        ),
    )


def sign(folder: Path, manifest: Manifest, key: Ed25519PrivateKey) -> None:
    """Write manifest and signature."""
    text = manifest.to_text().encode()
    (folder / NAME).write_bytes(text)
    (folder / SIGNATURE).write_bytes(key.sign(text))


def read_signed(folder: Path, keys: Sequence[bytes]) -> Manifest:
    """The manifest of a folder, if one of `keys` (32 bytes each) signed it.  Raises ManifestError."""
    try:
        text = (folder / NAME).read_bytes()[: MOST_BYTES + 1]
        signature = (folder / SIGNATURE).read_bytes()[:65]
    except OSError as problem:
        raise ManifestError(
            f"{problem.filename}: {problem.strerror}; an image comes with both files"
        ) from None
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
        except (InvalidSignature, ValueError):
            continue
        return parse(text.decode(errors="replace"))
    raise ManifestError(
        f"{folder / NAME} is not signed by a release key that is known here: do not use this image"
    )


def verify(folder: Path, keys: Sequence[bytes], names: Iterable[str] | None = None) -> Manifest:
    """Check signature and every artefact that is there (or `names`).  Raises ManifestError."""
    manifest = read_signed(folder, keys)
    wanted = (
        list(names)
        if names is not None
        else [each.name for each in manifest.artefacts if (folder / each.name).exists()]
    )
    for name in wanted:
        artefact = manifest.find(name)
        if artefact is None:
            raise ManifestError(f"{name} is not in the manifest")
        file = folder / name
        try:
            size = file.stat().st_size
        except OSError:
            raise ManifestError(f"{file} is missing") from None
        if size != artefact.size or sha256_file(file) != artefact.sha256:
            raise ManifestError(f"{file} is not what was signed: download it again")
    if not wanted:
        raise ManifestError(f"{folder} holds no artefact of its manifest")
    return manifest


def load_or_make_key(file: Path) -> Ed25519PrivateKey:
    """A test key for builds that nobody releases: made once, for its owner alone, never in an image."""
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read_text().strip()))
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(key.private_bytes_raw().hex() + "\n")
    return key


def public_keys(paths: Iterable[Path]) -> list[bytes]:
    """Release keys from files of 64 hex digits.  Raises ManifestError."""
    keys = []
    for path in paths:
        try:
            key = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError):
            raise ManifestError(f"{path} is no public key: a file with 64 hex digits is expected") from None
        if len(key) != 32:
            raise ManifestError(f"{path} holds {len(key)} bytes of key, 32 are needed")
        keys.append(key)
    return keys
