"""The metadata directory as programs see it: who holds which base, and how to change that."""
