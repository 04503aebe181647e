"""Schema 1.0 of meta1 bases: references, the services linked to them, their properties."""

META1 = """
CREATE TABLE users(cid BLOB PRIMARY KEY NOT NULL, account TEXT NOT NULL, user TEXT NOT NULL);
CREATE TABLE services(cid BLOB NOT NULL, srvtype TEXT NOT NULL, seq INTEGER NOT NULL, url TEXT NOT NULL,
  args TEXT, PRIMARY KEY(cid, srvtype, seq));
CREATE INDEX services_by_cid ON services(cid);
CREATE INDEX services_by_cid_type ON services(cid, srvtype);
CREATE TABLE properties(cid BLOB NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(cid, name));
"""
