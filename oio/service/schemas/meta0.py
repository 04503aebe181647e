"""Schema 1.0 of meta0 bases.

A row stands for its prefix and for all that follow it up to the next prefix that has rows: 256 bases are 768 rows and
not 196,608. Reading a prefix means reading the greatest stored prefix that is not above it.
"""

META0 = """
CREATE TABLE meta1(prefix BLOB NOT NULL, addr TEXT NOT NULL, PRIMARY KEY(prefix, addr));
CREATE TABLE meta1_ref(addr TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, prefixes TEXT NOT NULL);
"""
