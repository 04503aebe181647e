"""Web modules.  Every file and folder here that does not begin with `_` is one, under its own name."""
