"""Schema 1.8 of meta2 bases: the objects of one container."""

META2 = """
CREATE TABLE contents(id BLOB PRIMARY KEY NOT NULL, hash BLOB, size INTEGER NOT NULL, ctime INTEGER NOT NULL,
  mtime INTEGER NOT NULL, mime_type TEXT NOT NULL, chunk_method TEXT NOT NULL, policy TEXT NOT NULL);
CREATE TABLE aliases(alias TEXT NOT NULL, version INTEGER NOT NULL, content BLOB NOT NULL REFERENCES contents(id),
  deleted BOOL NOT NULL, ctime INTEGER NOT NULL, mtime INTEGER NOT NULL, PRIMARY KEY(alias, version));
CREATE TABLE chunks(id TEXT NOT NULL, content BLOB NOT NULL REFERENCES contents(id), position TEXT NOT NULL,
  hash BLOB, size INTEGER NOT NULL, ctime INTEGER NOT NULL, PRIMARY KEY(id, content, position));
CREATE TABLE properties(alias TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(alias, version, key),
  FOREIGN KEY(alias, version) REFERENCES aliases(alias, version) ON DELETE CASCADE);
CREATE TABLE shard_ranges(lower TEXT PRIMARY KEY NOT NULL, upper TEXT UNIQUE NOT NULL, cid BLOB UNIQUE NOT NULL,
  metadata TEXT);
"""
