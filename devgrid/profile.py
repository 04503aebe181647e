"""The profile by which `zos` finds a grid; see `client.profile`."""

from __future__ import annotations

import os
from pathlib import Path

from devgrid import configs, layout
from devgrid.launcher import Grid

HEAD = "# Written by `zos grid up`; removed by `zos grid down`.\n"


def path_of(grid: Grid) -> Path:
    """Where the profile of a grid lies."""
    if own := os.environ.get("ZOS_PROFILES"):
        return Path(own) / f"{grid.layout.name}.toml"
    folder = Path.home() / ".config/zos/profiles" if grid.layout.null else Path("/etc/zos/profiles")
    return folder / f"{grid.layout.name}.toml"


def text_of(grid: Grid) -> str:
    """The profile of a running grid.  Raises GridError when it is down."""
    layout_ = grid.layout
    twin = grid.status()["twins"]["user"]
    namespace = "" if layout_.null else str(grid.host_path(Path("/run/netns") / layout.CLIENT_NAMESPACE))
    return HEAD + configs.toml(
        {
            "chain": {"urls": [layout_.chain_url]},
            "bus": {"redis": f"unix://{grid.host_path(layout_.client_redis)}"},
            "user": {"key": layout_.user_key, "twin": twin},
            "network": {"namespace": namespace},
        }
    )


def write_profile(grid: Grid) -> None:
    file = path_of(grid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text_of(grid))


def remove_profile(grid: Grid) -> None:
    """Safe to repeat; a profile that somebody wrote by hand stays."""
    file = path_of(grid)
    if file.exists() and file.read_text().startswith(HEAD):
        file.unlink()


__all__ = ["path_of", "remove_profile", "text_of", "write_profile"]
