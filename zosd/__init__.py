"""The node daemon: journal, engine, accept path, chain life and the node's API on the bus."""

__version__ = "0.1.0"
