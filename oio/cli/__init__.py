"""Command lines of the directory: `openio`, `openio-admin` and the daemons."""
