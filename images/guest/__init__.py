"""Guest kernel and initrd of machines in container mode (`vm-qemu.md` §2, §3).

The kernel is Debian's cloud kernel as packaged.  The initrd is our own: a static busybox, the kernel modules that
such a machine needs, and the scripts `init`, `setup.sh` and `power.sh` of this folder.
"""
