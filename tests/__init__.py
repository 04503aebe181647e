"""Tests mirror the rooms: a folder each; `host/` makes real kernel objects, `grid/` runs whole grids."""
