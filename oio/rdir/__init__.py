"""The reverse index: which containers a volume holds."""
