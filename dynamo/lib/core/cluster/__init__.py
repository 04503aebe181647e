"""Servers that keep the same inventory."""
