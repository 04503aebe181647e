"""Containers, as far as the metadata directory needs them."""
