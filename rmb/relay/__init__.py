"""The hub of generation 2: hands envelopes to peers that are connected, keeps them for those that are not."""
