"""Running applications: children of the server with a frozen image of the inventory."""
