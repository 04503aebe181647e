"""A development chain: one process that answers as TFChain does."""
