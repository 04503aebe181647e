"""Workload provisioners: one folder for each type, the same verbs in each; `system/` holds the thin drivers.

`protocol` is the whole surface that the daemon and the types share.  No type imports another.
"""
