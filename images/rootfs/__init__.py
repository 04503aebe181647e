"""The demo's root file system: a small image for machines in container mode, made of Debian packages.

It has a busybox, a web server that shows the machine's name, SSH for those who gave a key, and a shell on the
serial console.  It is what `make demo` and the tests boot; users bring images of their own.
"""
