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


def text_of(grid: Grid, *, farmer: bool = False) -> str:
    """The profile of a running grid for its user or for its farmer.  Raises GridError when it is down."""
    layout_ = grid.layout
    twins = grid.status()["twins"]
    namespace = "" if layout_.null else str(grid.host_path(Path("/run/netns") / layout.CLIENT_NAMESPACE))
    user = {"key": layout_.user_key, "twin": twins["user"]}
    bus: dict[str, object] = {"redis": f"unix://{grid.host_path(layout_.client_redis)}"}
    if farmer:
        user = {"key": layout_.farmer_key, "twin": twins["farmer"]}
        bus = {"relays": [f"ws://{layout.LAN_GATEWAY.ip}:{layout.RELAY_PORT}"]}
    return HEAD + configs.toml(
        {
            "chain": {"urls": [layout_.chain_url]},
            "bus": bus,
            "user": user,
            "network": {"namespace": namespace},
        }
    )


def write_profile(grid: Grid) -> None:
    """The user's as `<grid>`, and where the grid has a relay the farmer's as `<grid>-farmer`."""
    file = path_of(grid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text_of(grid))
    if not grid.layout.null:
        _of_the_farmer(file).write_text(text_of(grid, farmer=True))


def remove_profile(grid: Grid) -> None:
    """Safe to repeat; a profile that somebody wrote by hand stays."""
    for file in (path_of(grid), _of_the_farmer(path_of(grid))):
        if file.exists() and file.read_text().startswith(HEAD):
            file.unlink()


def _of_the_farmer(file: Path) -> Path:
    return file.with_name(f"{file.stem}-farmer.toml")


__all__ = ["path_of", "remove_profile", "text_of", "write_profile"]
