"""Conditions, definitions of partitions, and policies that keep sites in order."""
