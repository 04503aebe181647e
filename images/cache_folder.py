"""Where downloads and built images are kept between runs and checkouts."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "ZOS_CACHE"


def cache_folder() -> Path:
    """The folder that `ZOS_CACHE` names; without it the system's for root, the user's own for others.

    `devgrid/bootstrap.py` says the same, because it runs before anything is installed.
    """
    if folder := os.environ.get(VARIABLE):
        return Path(folder)
    return Path("/var/cache/zos") if os.geteuid() == 0 else Path.home() / ".cache" / "zos"
