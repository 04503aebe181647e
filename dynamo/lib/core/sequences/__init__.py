"""Sequences: applications that run one after the other, again and again."""
