"""Join a tap with `eth0` of a namespace: `guest_process.py TAP NAMESPACE`; ends when its standard input ends."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
TAP_WITHOUT_HEADER = 0x0002 | 0x1000


def open_tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITHOUT_HEADER))
    return descriptor


def main() -> None:
    tap, namespace = sys.argv[1:]
    outer = open_tap(tap)
    inner = open_tap("guesttmp")
    subprocess.run(["ip", "link", "set", "dev", "guesttmp", "netns", namespace, "name", "eth0"], check=True)
    print("ready", flush=True)
    other = {outer: inner, inner: outer}
    while True:
        ready, _, _ = select.select([outer, inner, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        for descriptor in ready:
            try:
                os.write(other[descriptor], os.read(descriptor, 65536))
            except OSError:
                continue  # the link on that side is down


if __name__ == "__main__":
    main()
