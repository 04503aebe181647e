"""The node's life on the chain: who it is, what it reports, and what the chain tells it."""
