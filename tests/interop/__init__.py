"""See the package docstring of `tests`."""
