"""Tests mirror the rooms: unit tests in a folder for each room, `host/` makes real kernel objects, `grid/` runs whole grids."""
