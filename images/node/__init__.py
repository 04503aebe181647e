"""The boot image of a node: root file system, kernel and everything that they are packed into.

Made of Debian packages, hash-locked wheels and our own wheel; two builds of one commit are byte-identical when the
archive gives the same package versions.
"""
