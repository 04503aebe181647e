"""A grid's names and sizes are checked before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from devgrid.layout import GridLayout


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "x" * 21, "-a"])
def test_a_name_that_would_not_be_a_folder_or_a_link_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="grid name"):
        GridLayout(Path("/s"), name)


@pytest.mark.parametrize("nodes", [0, 33])
def test_the_number_of_nodes_is_bounded(nodes: int) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        GridLayout(Path("/s"), "g", nodes)


def test_every_link_name_fits_the_kernel() -> None:
    grid = GridLayout(Path("/s"), "g", 32)
    assert all(len(node.uplink) <= 15 for node in grid.members)


def test_socket_paths_of_a_namespaced_grid_are_short() -> None:
    grid = GridLayout(Path("/a/very/" + "long/" * 30), "g", 2)
    paths = [grid.control, grid.client_redis, *(node.redis for node in grid.members)]
    assert all(len(f"/proc/4194304/root{path}") < 108 for path in paths)
