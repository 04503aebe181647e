"""Detox: keeps sites from filling up, by a policy."""
