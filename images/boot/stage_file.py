"""What a stage of the boot tells the others: small JSON files in RAM, replaced whole."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FOLDER = Path("/run/boot")
MOST_BYTES = 1 << 20


def write(name: str, content: dict[str, Any], folder: Path = FOLDER) -> None:
    """Replace the file `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{name}.{os.getpid()}"
    fresh.write_text(json.dumps(content))
    fresh.replace(folder / f"{name}.json")


def read(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The content of `<name>.json`, empty when nobody has written it yet."""
    try:
        with (folder / f"{name}.json").open() as file:
            content = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class StageReport:
    """The state of one stage, for the screen.  An error stays until the stage takes it back."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.name = name
        self._folder = folder
        self._told: tuple[str, str, str] = ("", "", "")
        self._since = time.monotonic()

    def tell(self, state: str, text: str, error: str = "") -> None:
        """`state` is `working`, `done` or `failed`."""
        if (state, text, error) == self._told:
            return
        if state != self._told[0]:
            self._since = time.monotonic()
        self._told = (state, text, error)
        write(
            f"stage-{self.name}",
            {"state": state, "text": text, "error": error, "since": self._since},
            self._folder,
        )
        print(f"{text}{': ' if error else ''}{error}", flush=True)

    def ready(self) -> None:
        """Let the units after this one start."""
        (self._folder / f"{self.name}.ready").touch()
