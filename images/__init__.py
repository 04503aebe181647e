"""What the virtual machines of a node boot from: guest kernel, initrd and root file system archives.

Everything is made of Debian packages that are downloaded into a cache and unpacked there; none is installed.
"""
