"""The image slots on the cache: `<slot>/` with kernel, initrd, manifest and signature, and the file `state`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from images import manifest
from images.boot.slots import SLOTS, SlotError, SlotState, parse

FOLDER = Path("/var/cache/images")
KEYS = Path("/usr/lib/zos/release-keys")
NEEDED = ("vmlinuz", "initrd")
PART = ".part"


class SlotStore:
    """Durable state, and slots that are checked before they are trusted."""

    def __init__(self, folder: Path = FOLDER, keys: Path = KEYS) -> None:
        self.folder = folder
        self._keys = keys

    def read(self) -> tuple[SlotState, str]:
        """(state, what is wrong with it).  No file is the state of a node that was never upgraded."""
        try:
            content = (self.folder / "state").read_bytes()[:65536]
        except FileNotFoundError:
            return SlotState(), ""
        except OSError as problem:
            return SlotState(), f"the state of the image slots cannot be read: {problem.strerror}"
        try:
            return parse(content), ""
        except SlotError as problem:
            return SlotState(), str(problem)

    def write(self, state: SlotState) -> None:
        """Durable when this returns.  Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.folder / "state.new"
        with fresh.open("wb") as file:
            file.write(state.to_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self.folder / "state")
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def intact(self, slot: str) -> bool:
        """Whether a slot holds what one of our release keys signed."""
        try:
            manifest.verify(self.folder / slot, self.trusted(), NEEDED)
        except (manifest.ManifestError, OSError):
            return False
        return True

    def trusted(self) -> list[bytes]:
        """The release keys of the running image.  Raises ManifestError."""
        return manifest.public_keys(sorted(self._keys.glob("*.pub")))

    def sweep(self) -> None:
        """Take away what an interrupted download left, and slots that the state does not know."""
        state, _ = self.read()
        known = {state.current, state.previous}
        for entry in self.folder.iterdir() if self.folder.is_dir() else []:
            if entry.name.endswith(PART) or (entry.name in SLOTS and entry.name not in known):
                shutil.rmtree(entry, ignore_errors=True)

    def adopt(self, part: Path, slot: str) -> None:
        """Put a verified download into its slot.  Raises OSError."""
        target = self.folder / slot
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
