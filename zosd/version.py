"""Which release runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import zosd

INSTALLED = Path("/usr/lib/zos/version")
"""Where the boot image says which release it is."""
LONGEST = 100


@cache
def running(installed: Path = INSTALLED) -> str:
    """Version of the boot image that the daemon runs from; outside an image, the daemon's own."""
    try:
        with installed.open() as file:
            return file.read(LONGEST).strip() or zosd.__version__
    except (OSError, ValueError):
        return zosd.__version__
