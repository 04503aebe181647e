"""The reverse index: which containers a meta2 volume holds, kept outside of that volume."""
