"""The inventory in memory, its store, and what programs of the fleet import."""
