"""Which services exist, where they are and how healthy they are."""
